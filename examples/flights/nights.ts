import { timestampMs } from '@bufbuild/protobuf/wkt';
import { AlertState, type Report } from '@millrace/contracts/monitoring';
import { type PipelineRun, PipelineRunState, RunOriginKind } from '@millrace/contracts/pipelines';
import type { Millrace } from '@millrace/sdk';
import { insist, waitFor } from './replay/patience.ts';
import { resourceNames } from './resources.ts';
import { championOf } from './steps/registry.ts';

const done: readonly PipelineRunState[] = [
  PipelineRunState.SUCCEEDED,
  PipelineRunState.FAILED,
  PipelineRunState.CANCELLED,
  PipelineRunState.TIMED_OUT,
];

/** Waits until a pipeline run has ended; answers it. */
export async function untilDone({ pipelineRuns }: Millrace, name: string): Promise<PipelineRun> {
  return waitFor(`the end of ${name}`, async () => {
    const { pipelineRun } = await pipelineRuns.getPipelineRun({ name });
    return pipelineRun && done.includes(pipelineRun.state) ? pipelineRun : undefined;
  });
}

/** Waits until both deployments answer with the champion; answers its name. */
export async function untilServed(millrace: Millrace): Promise<string> {
  const { model, deployment, board } = resourceNames(millrace.project);
  return waitFor('the champion in the deployments', async () => {
    const champion = await championOf(millrace, model);
    const loaded = await Promise.all(
      [deployment, board].map(async (name) => {
        const { deployment: found } = await millrace.deployments.getDeployment({ name });
        return found?.targetStatuses[0]?.loadedVersion;
      }),
    );
    const version = Number(champion?.split('/').at(-1));
    return champion && loaded.every((one) => one === version) ? champion : undefined;
  });
}

/** The report of a day, as soon as there is one. */
export async function reportOf({ monitoring, project }: Millrace, dayMs: number): Promise<Report> {
  const { monitor } = resourceNames(project);
  return waitFor(`the report of ${new Date(dayMs).toISOString().slice(0, 10)}`, async () => {
    const { reports } = await monitoring.listReports({ parent: monitor, pageSize: 5 });
    return reports.find(({ windowStart }) => windowStart && timestampMs(windowStart) === dayMs);
  });
}

/** If this report raised the drift alarm: waits for the retraining it started, and until its outcome is served. */
export async function untilRetrained(millrace: Millrace, report: Report): Promise<PipelineRun | undefined> {
  const { monitor, pipeline } = resourceNames(millrace.project);
  const { alerts } = await insist(() =>
    millrace.monitoring.listAlerts({ parent: monitor, state: AlertState.RAISED }),
  );
  if (!alerts.some((alert) => alert.rule === 'drift' && alert.raisedBy === report.name)) return undefined;
  const started = await waitFor('the retraining that the alarm starts', async () => {
    const { pipelineRuns } = await millrace.pipelineRuns.listPipelineRuns({
      parent: millrace.parent,
      pipeline,
    });
    return pipelineRuns.find((run) => run.origin?.kind === RunOriginKind.TRIGGER && !handled.has(run.name));
  });
  handled.add(started.name);
  const run = await untilDone(millrace, started.name);
  await untilServed(millrace);
  return run;
}

/** Retrainings that were waited for. */
const handled = new Set<string>();
