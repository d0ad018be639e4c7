import { names } from '@millrace/contracts';
import { type Experiment, TrackingService } from '@millrace/contracts/tracking';
import { invalidField } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { expectOf } from '@millrace/service';
import type { ExperimentPatch } from '../domain/experiment.ts';
import { toExperiment } from '../messages.ts';
import type { TrackingStore } from '../store/open.ts';
import { pageSizeOf } from './page.ts';
import { type Once, parseExperiment, pathsOf, viewOf } from './request.ts';

type Methods =
  | 'createExperiment'
  | 'getExperiment'
  | 'listExperiments'
  | 'updateExperiment'
  | 'deleteExperiment'
  | 'restoreExperiment';

const rpc = TrackingService.method;

export function experimentHandlers(
  { experiments }: TrackingStore,
  once: Once,
): Pick<Handlers<typeof TrackingService>, Methods> {
  return {
    async createExperiment(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const { displayName, tags } = request.experiment ?? { displayName: '', tags: [] };
      requireName(displayName);
      return once(rpc.createExperiment, project, request, async (_, guard) => ({
        experiment: toExperiment(await experiments.create(project, displayName, tags, guard)),
      }));
    },

    async getExperiment(request) {
      const { project, number } = parseExperiment(request.name, 'name');
      return { experiment: toExperiment(await experiments.get(project, number)) };
    },

    async listExperiments(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const view = viewOf(request.view);
      if (request.displayName) {
        const found = await experiments.named(project, request.displayName);
        const state = found && (found.doc.deletedAtMs === null ? 'ACTIVE' : 'DELETED');
        const shown = found && (view === 'ALL' || view === state);
        return { experiments: shown ? [toExperiment(found)] : [] };
      }
      const page = await experiments.list(project, view, pageSizeOf(request.pageSize), request.pageToken);
      return { experiments: page.items.map(toExperiment), nextPageToken: page.next ?? '' };
    },

    async updateExperiment(request) {
      const wanted = request.experiment as Experiment;
      const { project, number } = parseExperiment(wanted.name, 'experiment.name');
      const paths = pathsOf(request.updateMask, ['display_name', 'tags']);
      if (paths.has('display_name')) requireName(wanted.displayName);
      const patch: ExperimentPatch = {
        ...(paths.has('display_name') ? { displayName: wanted.displayName } : {}),
        ...(paths.has('tags') ? { tags: wanted.tags } : {}),
      };
      const expect = expectOf(wanted.etag, 'experiment.etag');
      return once(rpc.updateExperiment, project, request, async (_, guard) => ({
        experiment: toExperiment(await experiments.update(project, number, patch, { ...guard, ...expect })),
      }));
    },

    async deleteExperiment(request) {
      const { project, number } = parseExperiment(request.name, 'name');
      const expect = expectOf(request.etag);
      return once(rpc.deleteExperiment, project, request, async (_, guard) => ({
        experiment: toExperiment(await experiments.delete(project, number, { ...guard, ...expect })),
      }));
    },

    async restoreExperiment(request) {
      const { project, number } = parseExperiment(request.name, 'name');
      const expect = expectOf(request.etag);
      return once(rpc.restoreExperiment, project, request, async (_, guard) => ({
        experiment: toExperiment(await experiments.restore(project, number, { ...guard, ...expect })),
      }));
    },
  };
}

function requireName(displayName: string): void {
  if (displayName === '') throw invalidField('experiment.display_name', 'is empty', '1 to 256 characters');
}
