import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { type Run, TrackingService } from '@millrace/contracts/tracking';
import { invalidField } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { expectOf } from '@millrace/service';
import { refuseDeleted } from '../domain/experiment.ts';
import { createRun, finishRun, type RunPatch, updateRun } from '../domain/run.ts';
import { fromStatus, toRun } from '../messages.ts';
import type { TrackingStore } from '../store/open.ts';
import { type Once, parseExperiment, parseRun, pathsOf } from './request.ts';

type Methods = 'createRun' | 'getRun' | 'updateRun' | 'finishRun' | 'deleteRun' | 'restoreRun';

const rpc = TrackingService.method;

export function runHandlers(
  { experiments, runs }: TrackingStore,
  once: Once,
  now: () => number,
): Pick<Handlers<typeof TrackingService>, Methods> {
  return {
    async createRun(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const wanted = request.run as Run;
      const experiment = experimentIn(project, wanted.experiment);
      const status = fromStatus(wanted.status) ?? 'RUNNING';
      return once(rpc.createRun, project, request, async (id, guard) => {
        await experiments.ensureDefault(project);
        refuseDeleted((await experiments.get(project, experiment)).doc);
        const startTimeMs = msOf(wanted.startTime);
        const { displayName, tags } = wanted;
        const run = createRun({ project, id, experiment, displayName, status, startTimeMs, tags }, now());
        return { run: toRun(await runs.insert(run, guard)) };
      });
    },

    async getRun(request) {
      const { project, id } = parseRun(request.name, 'name');
      return { run: toRun(await runs.get(project, id)) };
    },

    async updateRun(request) {
      const wanted = request.run as Run;
      const { project, id } = parseRun(wanted.name, 'run.name');
      const patch = patchOf(wanted, request.updateMask);
      const expect = expectOf(wanted.etag, 'run.etag');
      return once(rpc.updateRun, project, request, async (_, guard) => {
        const decide = (run: Parameters<typeof updateRun>[0]) => updateRun(run, patch, now());
        return { run: toRun(await runs.change(project, id, decide, { ...guard, ...expect })) };
      });
    },

    async finishRun(request) {
      const { project, id } = parseRun(request.name, 'name');
      const status = fromStatus(request.status) ?? 'FINISHED';
      return once(rpc.finishRun, project, request, async (_, guard) => {
        const decide = (run: Parameters<typeof finishRun>[0]) =>
          finishRun(run, status, msOf(request.endTime), now());
        return { run: toRun(await runs.change(project, id, decide, guard)) };
      });
    },

    async deleteRun(request) {
      const { project, id } = parseRun(request.name, 'name');
      const expect = expectOf(request.etag);
      return once(rpc.deleteRun, project, request, async (_, guard) => ({
        run: toRun(await runs.delete(project, id, { ...guard, ...expect })),
      }));
    },

    async restoreRun(request) {
      const { project, id } = parseRun(request.name, 'name');
      const expect = expectOf(request.etag);
      return once(rpc.restoreRun, project, request, async (_, guard) => ({
        run: toRun(await runs.restore(project, id, { ...guard, ...expect })),
      }));
    },
  };
}

/** The experiment of a new run, which must be of the same project. */
function experimentIn(project: string, name: string): number {
  if (name === '') return 0;
  const experiment = parseExperiment(name, 'run.experiment');
  if (experiment.project === project) return experiment.number;
  throw invalidField('run.experiment', 'is of another project', `an experiment of projects/${project}`);
}

function patchOf(wanted: Run, mask: { readonly paths: readonly string[] } | undefined): RunPatch {
  const paths = pathsOf(mask, ['display_name', 'status', 'start_time', 'end_time', 'tags']);
  const patch: { -readonly [K in keyof RunPatch]: RunPatch[K] } = {};
  if (paths.has('display_name'))
    patch.displayName = given(wanted.displayName || undefined, 'run.display_name');
  if (paths.has('status')) patch.status = given(fromStatus(wanted.status), 'run.status');
  if (paths.has('start_time')) patch.startTimeMs = given(msOf(wanted.startTime), 'run.start_time');
  if (paths.has('end_time')) patch.endTimeMs = given(msOf(wanted.endTime), 'run.end_time');
  if (paths.has('tags')) patch.tags = wanted.tags;
  return patch;
}

function given<T>(value: T | undefined, field: string): T {
  if (value !== undefined) return value;
  throw invalidField(field, 'is not set', 'a value, as update_mask names it');
}

function msOf(time: Timestamp | undefined): number | undefined {
  return time && Math.floor(timestampMs(time));
}
