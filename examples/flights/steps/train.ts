/** Trains one candidate and tracks it as a run. Arguments: the candidate and the sets, both JSON. */
import { connect, currentStep, startRun } from '@millrace/sdk';
import { type Candidate, learn } from '../learn/candidate.ts';
import { measure } from '../learn/metrics.ts';
import { readSet, type Sets } from './sets.ts';

const [candidateJson = '', setsJson = ''] = process.argv.slice(2);
const candidate = JSON.parse(candidateJson) as Candidate;
const { train } = JSON.parse(setsJson) as Sets;
const step = currentStep();
const millrace = connect();
const data = await readSet(millrace, train);

const run = await startRun(millrace, {
  experiment: 'late flights',
  name: `${candidate.name}, ${train.title}`,
  params: { ...candidate, rows: data.rowCount, columns: data.columns.length },
  tags: { 'millrace.pipelineRun': step.run, 'millrace.trainingSet': train.name },
  inputs: [{ name: train.name, digest: train.digest, source: train.name }],
  key: step.idempotencyKey,
});
const begun = performance.now();
const learned = learn(candidate, data, (share) => run.metrics({ progress: share }, Math.round(share * 100)));
const seconds = (performance.now() - begun) / 1000;
const metrics = measure(learned.fitted, data.labels);
run.metrics({ 'train.auc': metrics.auc, 'train.log_loss': metrics.log_loss, 'train.seconds': seconds }, 100);
await run.artifact('model.onnx', learned.onnx, 'application/octet-stream');
await run.finish();
await step.writeOutput('model', learned.onnx);
await step.writeJson('run', { run: run.name, candidate: candidate.name });
console.log(
  `${candidate.name}: ${data.rowCount} rows in ${seconds.toFixed(1)} s, AUC ${metrics.auc.toFixed(4)} on what it learned from`,
);
millrace.close();
