import { ColumnType } from '@millrace/contracts/common';
import { JobState, SourceFormat } from '@millrace/contracts/features';
import { OutputKind, PipelineRunState } from '@millrace/contracts/pipelines';
import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { examined, withExternalData } from './models.ts';

const machines = '{"machine":"m","seen":"2001-06-01 00:00:00","heat":1}\n';
/** More lines than are looked at to find out what a file is. */
const sampled = 120_000;

/** A materialization and a training set of an uploaded file with a bad line: what they are said to have failed of. */
export async function failedJobs({ features, parent }: Millrace): Promise<string[]> {
  const lines = Buffer.from(`${machines.repeat(sampled)}{"machine":\n`);
  async function* parts() {
    for (let at = 0; at < lines.length; at += 2 ** 20)
      yield { parent, data: lines.subarray(at, at + 2 ** 20) };
  }
  const { digest } = await features.uploadSource(parts());
  const [source, view] = [`${parent}/sources/spoilt`, `${parent}/featureViews/spoilt`];
  const [entity, joinKeys] = [`${parent}/entities/spoilt`, [{ name: 'machine', type: ColumnType.STRING }]];
  await features.applyEntity({ entity: { name: entity, joinKeys } });
  const location = { case: 'digest' as const, value: digest };
  await features.applySource({ source: { name: source, location, format: SourceFormat.JSON_LINES } });
  await features.applyFeatureView({
    featureView: {
      name: view,
      entities: [entity],
      source,
      timestampColumn: 'seen',
      features: [{ name: 'heat' }],
    },
  });
  const made = await features.createMaterialization({ parent, materialization: { view } });
  const set = await features.createTrainingSet({
    parent,
    trainingSet: {
      features: ['spoilt:heat'],
      timestampColumn: 'seen',
      entityRows: { case: 'query', value: { source, sql: 'SELECT machine, seen FROM source' } },
    },
  });
  const names = [made.materialization?.name ?? '', set.trainingSet?.name ?? ''] as const;
  return until(
    async () => {
      const { materialization } = await features.getMaterialization({ name: names[0] });
      const { trainingSet } = await features.getTrainingSet({ name: names[1] });
      const jobs = [materialization, trainingSet];
      if (jobs.some((job) => job?.state !== JobState.FAILED)) return undefined;
      return jobs.map((job) => job?.error?.message ?? '');
    },
    { what: 'the jobs that fail', timeoutMs: 30_000 },
  );
}

/** Steps that fail in all the ways there are: why each did. */
export async function failedSteps(
  { pipelines, pipelineRuns, parent }: Millrace,
  secret: string,
): Promise<string[]> {
  const write = (code: string) => ['node', '-e', `const out = process.env.MILLRACE_OUTPUTS + '/y'; ${code}`];
  const outputs = [{ name: 'y', kind: OutputKind.JSON }];
  const env = [{ name: 'PASSWORD', value: secret, secret: true }];
  const commands = {
    unknown: { argv: ['no-such-program'] },
    exits: { argv: write('console.error(process.env); process.exit(3)'), env },
    missing: { argv: write(''), outputs },
    spoilt: { argv: write('require("fs").writeFileSync(out, "{")'), outputs },
    deep: { argv: write('require("fs").writeFileSync(out, "[".repeat(150) + "]".repeat(150))'), outputs },
    link: { argv: write('require("fs").symlinkSync("/etc/hostname", out)'), outputs },
  };
  const pipeline = `${parent}/pipelines/failing`;
  const steps = Object.entries(commands).map(([name, value]) => ({
    name,
    action: { case: 'command' as const, value },
  }));
  await pipelines.applyPipeline({ pipeline: { name: pipeline, spec: { failurePolicy: 2, steps } } });
  const made = await pipelineRuns.createPipelineRun({ parent, pipelineRun: { pipeline } });
  const name = made.pipelineRun?.name ?? '';
  const run = await until(
    async () => {
      const { pipelineRun } = await pipelineRuns.getPipelineRun({ name });
      return pipelineRun?.state === PipelineRunState.FAILED ? pipelineRun : undefined;
    },
    { what: 'the run that fails', timeoutMs: 30_000 },
  );
  const { tasks } = await pipelineRuns.listTasks({ parent: name });
  return [run.reason, ...tasks.flatMap((task) => [task.reason, ...task.attempts.map((one) => one.reason)])];
}

/** Why a model is rejected. */
export async function failedVersion(millrace: Millrace): Promise<readonly string[]> {
  const { registry, parent } = millrace;
  await registry.createModel({ parent, modelId: 'leaky', model: {} });
  const version = await examined(millrace, `${parent}/models/leaky`, withExternalData('/etc/passwd'));
  return version.stateReasons;
}

/** What callers are told who ask for what is not there. */
export async function refusals({
  tracking,
  registry,
  features,
  deployments,
  parent,
}: Millrace): Promise<string[]> {
  const calls = [
    tracking.getRun({ name: `${parent}/runs/none` }),
    tracking.getArtifact({ parent: `${parent}/runs/none`, path: 'none' }),
    registry.getModelVersion({ name: `${parent}/models/none/versions/1` }),
    features.getSource({ name: `${parent}/sources/none` }),
    deployments.getDeployment({ name: `${parent}/deployments/none` }),
  ];
  const settled = await Promise.allSettled(calls);
  return settled.flatMap((call) => (call.status === 'rejected' ? [(call.reason as Error).message] : []));
}
