import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Report } from '@millrace/contracts/monitoring';
import type { Millrace } from '@millrace/sdk';
import { measure } from './learn/metrics.ts';
import { score } from './learn/score.ts';
import { insist } from './replay/patience.ts';
import { resourceNames } from './resources.ts';
import { downloadVersion } from './steps/registry.ts';
import { buildSet, readSet } from './steps/sets.ts';

/** How good a version was on some flights. */
export interface Judgement {
  readonly flights: string;
  readonly rows: number;
  readonly version: string;
  readonly auc: number;
  readonly logLoss: number;
}

/** What the gate saw: every evaluation of every version, as the registry keeps them. */
export async function gateEvaluations({ registry, project }: Millrace): Promise<readonly Judgement[]> {
  const { model } = resourceNames(project);
  const { modelVersions } = await insist(() => registry.listModelVersions({ parent: model }));
  const all = await Promise.all(
    modelVersions.map(async ({ name, version }) => {
      const { evaluations } = await insist(() => registry.listEvaluations({ parent: name }));
      return evaluations.map((evaluation) => ({
        flights: `${evaluation.dataset.replace('flights ', '')} (gate)`,
        rows: Number(evaluation.rowCount),
        version: String(version),
        auc: evaluation.metrics.find((metric) => metric.name === 'auc')?.value ?? Number.NaN,
        logLoss: evaluation.metrics.find((metric) => metric.name === 'log_loss')?.value ?? Number.NaN,
      }));
    }),
  );
  return all.flat();
}

/** Every version on the same flights of a span of days, from their files: what each would have said. */
export async function judgeAll(
  millrace: Millrace,
  fromMs: number,
  untilMs: number,
  title: string,
): Promise<readonly Judgement[]> {
  const { model } = resourceNames(millrace.project);
  const iso = (ms: number) => new Date(ms).toISOString();
  const set = await buildSet(millrace, iso(fromMs), iso(untilMs), `judge-${fromMs}-${untilMs}`);
  const data = await readSet(millrace, set);
  const { modelVersions } = await insist(() => millrace.registry.listModelVersions({ parent: model }));
  return Promise.all(
    modelVersions.map(async ({ name, version }) => {
      const metrics = measure(await score(await downloadVersion(millrace, name), data), data.labels);
      return {
        flights: `${set.title} (${title})`,
        rows: data.rowCount,
        version: String(version),
        auc: metrics.auc,
        logLoss: metrics.log_loss,
      };
    }),
  );
}

/** A day as monitoring saw it. */
export interface DayLine {
  readonly day: string;
  readonly rows: number;
  readonly share: number;
  readonly predictionDrift: number;
  readonly drifted: boolean;
  readonly auc: number;
  readonly logLoss: number;
  readonly versions: string;
}

/** The reports of the monitor, oldest first. */
export async function readDays({ monitoring, project }: Millrace): Promise<readonly DayLine[]> {
  const { monitor } = resourceNames(project);
  const { reports } = await insist(() => monitoring.listReports({ parent: monitor, pageSize: 1000 }));
  return reports.reverse().map(toLine);
}

function toLine(report: Report): DayLine {
  const metric = (key: string) => report.performance?.metrics.find((m) => m.key === key)?.value ?? Number.NaN;
  return {
    day: report.windowStart ? new Date(timestampMs(report.windowStart)).toISOString().slice(0, 10) : '',
    rows: Number(report.rowCount),
    share: report.drift?.share ?? 0,
    predictionDrift: report.predictionDrift?.statistic ?? 0,
    drifted: report.drift?.drifted ?? false,
    auc: metric('auc'),
    logLoss: metric('log_loss'),
    versions: report.versions.map(({ modelVersion }) => `v${modelVersion}`).join(' '),
  };
}
