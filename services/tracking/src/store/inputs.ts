import { createHash } from 'node:crypto';
import { type DocumentStore, newId, type Page, type Versioned } from '@millrace/documents';
import { invalidField } from '@millrace/errors';
import { type DatasetInput, logAgain } from '../domain/dataset-input.ts';
import { limits } from '../domain/limits.ts';
import { inputLogged } from '../drafts.ts';
import { inputsSpec } from './collections.ts';

/** The datasets that runs used. */
export function createInputs(store: DocumentStore, now: () => number) {
  const inputs = store.collection(inputsSpec);

  return {
    /** Records inputs of one run, each in a document of its own; doing it again changes nothing. */
    async log(
      project: string,
      run: string,
      list: readonly Omit<DatasetInput, 'place'>[],
    ): Promise<readonly Versioned<DatasetInput>[]> {
      const ids = list.map(({ name, digest }) => idOf(project, run, name, digest));
      const known = await inputs.getMany(ids);
      const total =
        (await inputs.count({ run: `${project}/${run}` })) + known.filter((found) => !found).length;
      if (total > limits.datasetInputs)
        throw invalidField(
          'inputs',
          `the run would have ${total}`,
          `at most ${limits.datasetInputs} in a run`,
        );
      const logged: Versioned<DatasetInput>[] = [];
      for (const [i, input] of list.entries()) {
        // Ids sort by time, and so do the places made of them.
        const doc = { ...input, place: newId() };
        const found = await inputs.upsert(ids[i] ?? '', (before) => {
          const next = before ? logAgain(before, doc) : doc;
          return next && { doc: next, emit: [inputLogged(next, now())] };
        });
        if (found) logged.push(found);
      }
      return logged;
    },

    /** The inputs of a run after a place, in the order in which they were logged. */
    page: (project: string, run: string, limit: number, after?: string): Promise<Page<DatasetInput>> =>
      inputs.find({
        where: { run: `${project}/${run}`, ...(after ? { place: { gt: after } } : {}) },
        orderBy: [{ field: 'place' }],
        limit,
      }),
  };
}

function idOf(project: string, run: string, name: string, digest: string): string {
  return createHash('sha256')
    .update(JSON.stringify([project, run, name, digest]))
    .digest('hex');
}
