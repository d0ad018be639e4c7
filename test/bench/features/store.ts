import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { ColumnType } from '@millrace/contracts/common';
import {
  FeatureStoreService,
  type FeatureViewSchema,
  JobState,
  SourceFormat,
  type TrainingSetSchema,
} from '@millrace/contracts/features';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, tempDir } from '@millrace/testing';

export const parent = 'projects/default';

interface Ending {
  readonly state: JobState;
  readonly error?: { readonly message: string } | undefined;
}

/** A feature store in a process of its own, which reads files below its own folder and some others. */
export type FeatureStore = Awaited<ReturnType<typeof startFeatures>>;

export async function startFeatures(...roots: readonly string[]) {
  const folder = tempDir('millrace-bench-');
  const nats = await startNats();
  const env = { NATS_URL: nats.url, LOG_LEVEL: 'warn', SOURCE_ROOTS: [folder.path, ...roots].join(',') };
  const service = await startService('feature-store', { env });
  const transport = grpcTransport({ address: service.address, maxMessageBytes: 64 * 1024 * 1024 });
  const client = createClient(FeatureStoreService, transport, { deadlineMs: 300_000 });

  /** Follows a job to its end, and throws when it failed. */
  async function done<M extends Ending>(seen: AsyncIterable<M>): Promise<M> {
    for await (const job of seen) {
      if (job.state === JobState.SUCCEEDED) return job;
      if (job.state === JobState.FAILED) throw new Error(job.error?.message);
    }
    throw new Error('the job has no end');
  }

  async function* materializations(name: string) {
    for await (const { materialization } of client.watchMaterialization({ name })) yield materialization!;
  }

  async function* trainingSets(name: string) {
    for await (const { trainingSet } of client.watchTrainingSet({ name })) yield trainingSet!;
  }

  return {
    client,
    transport,
    pid: service.pid,
    folder: folder.path,
    /** Declares an entity of text keys. */
    applyEntity: (id: string, ...keys: readonly string[]) =>
      client.applyEntity({
        entity: {
          name: `${parent}/entities/${id}`,
          joinKeys: keys.map((name) => ({ name, type: ColumnType.STRING })),
        },
      }),
    applySource: (id: string, path: string) =>
      client.applySource({
        source: {
          name: `${parent}/sources/${id}`,
          location: { case: 'path', value: path },
          format: SourceFormat.PARQUET,
        },
      }),
    applyView: (id: string, view: Omit<MessageInitShape<typeof FeatureViewSchema>, 'name' | '$typeName'>) =>
      client.applyFeatureView({ featureView: { ...view, name: `${parent}/featureViews/${id}` } }),
    /** Brings a view's rows up to a time, or now, into the online store, in place of what was there. */
    async materialize(view: string, end?: Date) {
      const until = end ? { endTime: timestampFromDate(end) } : {};
      const { materialization } = await client.createMaterialization({
        parent,
        materialization: { view: `${parent}/featureViews/${view}`, full: true, ...until },
        requestId: randomUUID(),
      });
      return done(materializations(materialization?.name ?? ''));
    },
    async join(trainingSet: MessageInitShape<typeof TrainingSetSchema>) {
      const made = await client.createTrainingSet({ parent, trainingSet, requestId: randomUUID() });
      return done(trainingSets(made.trainingSet?.name ?? ''));
    },
    async close() {
      transport.close();
      await service.stop();
      await nats.stop();
      await folder.remove();
    },
  };
}
