/**
 * Judges the candidates and the champion on the same later flights, and registers the best candidate. Arguments: the
 * runs of the candidates and the sets, both JSON.
 */
import { join } from 'node:path';
import { connect, currentStep, type Millrace } from '@millrace/sdk';
import { type Metrics, measure } from '../learn/metrics.ts';
import { score } from '../learn/score.ts';
import { resourceNames } from '../resources.ts';
import { championOf, downloadVersion, uploadVersion } from './registry.ts';
import { type FlightSet, readSet, type Sets } from './sets.ts';

const [runsJson = '', setsJson = ''] = process.argv.slice(2);
const runs = JSON.parse(runsJson) as readonly { run: string; candidate: string }[];
const sets = JSON.parse(setsJson) as Sets;
const step = currentStep();
const millrace = connect();
const { model } = resourceNames(millrace.project);
const data = await readSet(millrace, sets.evaluate);

const judged: { run: string; candidate: string; onnx: Uint8Array; metrics: Metrics }[] = [];
for (const [i, { run, candidate }] of runs.entries()) {
  const onnx = await step.readInput(join('models', String(i)));
  const metrics = measure(await score(onnx, data), data.labels);
  judged.push({ run, candidate, onnx, metrics });
  const values = Object.entries(metrics).map(([key, value]) => ({ key: `evaluate.${key}`, value }));
  await millrace.tracking.logBatch({ name: run, metrics: values, requestId: step.keyFor(`log-${i}`) });
  console.log(`${candidate}: AUC ${metrics.auc.toFixed(4)}, log loss ${metrics.log_loss.toFixed(4)}`);
}
const best = judged.reduce((a, b) => (b.metrics.log_loss < a.metrics.log_loss ? b : a));

const version = await uploadVersion(millrace, {
  model,
  onnx: best.onnx,
  sourceRun: best.run,
  trainingSet: sets.train.name,
  pipelineRun: step.run,
  description: `${best.candidate}, learned from ${sets.train.rows} flights of ${sets.train.title}`,
  requestId: step.keyFor('version'),
});
await record(millrace, version, best.metrics, sets.evaluate, best.run, step.keyFor('evaluation'));
const champion = await championOf(millrace, model);
if (champion && champion !== version) {
  const metrics = measure(await score(await downloadVersion(millrace, champion), data), data.labels);
  await record(millrace, champion, metrics, sets.evaluate, '', step.keyFor('champion-evaluation'));
  console.log(`champion: AUC ${metrics.auc.toFixed(4)}, log loss ${metrics.log_loss.toFixed(4)}`);
}
await step.writeOutput('version', version);
await step.writeJson('metrics', best.metrics);
millrace.close();

/** Keeps what a version showed on a set, where the gate looks for it. */
async function record(
  { registry }: Millrace,
  parent: string,
  metrics: Metrics,
  set: FlightSet,
  sourceRun: string,
  requestId: string,
): Promise<void> {
  const evaluation = {
    dataset: `flights ${set.title}`,
    datasetDigest: set.digest,
    rowCount: BigInt(set.rows),
    sourceRun,
    metrics: Object.entries(metrics).map(([name, value]) => ({ name, value })),
  };
  await registry.recordEvaluation({ parent, evaluation, requestId });
}
