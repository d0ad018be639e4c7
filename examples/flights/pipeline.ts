import { join } from 'node:path';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { durationFromMs, type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import { monitoringEvents } from '@millrace/contracts';
import { OutputKind, ParameterType } from '@millrace/contracts/pipelines';
import type { Millrace } from '@millrace/sdk';
import { resourceNames } from './resources.ts';

/** What is tried against each other: how a learner is called, and its settings. */
const candidates = [
  { name: 'logistic', kind: 'logistic', lambda: 1 },
  { name: 'trees-small', kind: 'trees', trees: 60, learningRate: 0.15, maxLeaves: 8, minRows: 50, lambda: 1 },
  { name: 'trees-large', kind: 'trees', trees: 80, learningRate: 0.1, maxLeaves: 24, minRows: 50, lambda: 1 },
] as const;

const step = (name: string) => ['node', join(import.meta.dirname, 'steps', `${name}.ts`)];
const json = (name: string) => ({ name, kind: OutputKind.JSON });
const model = { name: 'model', kind: OutputKind.ARTIFACT, artifactType: 'model' };
const retry = { maxAttempts: 3, initialBackoff: durationFromMs(500) };

/** The pipeline: training and evaluation set, candidates side by side, the best one registered, gated, and watched. */
export async function applyPipeline({ pipelines, project }: Millrace): Promise<void> {
  const parameters = ['train_from', 'train_until', 'evaluate_from', 'evaluate_until'] as const;
  const ranges = parameters.map((name) => `\${params.${name}}`);
  const command = (name: string, rest: object) => ({
    action: { case: 'command', value: { argv: step(name), ...rest } } as const,
    retry,
  });
  await pipelines.applyPipeline({
    pipeline: {
      name: resourceNames(project).pipeline,
      description: 'Learns which flights will be late, and promotes what is better than the champion.',
      spec: {
        parameters: [
          ...parameters.map((name) => ({
            name,
            type: ParameterType.STRING,
            description: 'A time, RFC 3339, UTC.',
          })),
          {
            name: 'candidates',
            type: ParameterType.LIST,
            defaultValue: toValue(candidates.map((candidate) => ({ ...candidate }))),
          },
        ],
        steps: [
          {
            name: 'build',
            ...command('build', { argv: [...step('build'), ...ranges], outputs: [json('sets')] }),
          },
          {
            name: 'train',
            forEach: { source: { case: 'template', value: '${params.candidates}' } as const, maxParallel: 2 },
            ...command('train', {
              argv: [...step('train'), '${item}', '${steps.build.outputs.sets}'],
              outputs: [model, json('run')],
            }),
          },
          {
            name: 'select',
            ...command('select', {
              argv: [...step('select'), '${steps.train.outputs.run}', '${steps.build.outputs.sets}'],
              inputs: [{ name: 'models', from: '${steps.train.outputs.model}' }],
              outputs: [{ name: 'version', kind: OutputKind.TEXT }, json('metrics')],
            }),
          },
          {
            name: 'promote',
            ...command('promote', {
              argv: [...step('promote'), '${steps.select.outputs.version}'],
              outputs: [json('decision')],
            }),
          },
          {
            name: 'watch',
            when: 'steps.promote.outputs.decision.moved',
            ...command('watch', {
              argv: [
                ...step('watch'),
                '${steps.select.outputs.version}',
                '${steps.select.outputs.metrics}',
                '${steps.build.outputs.sets}',
              ],
            }),
          },
        ],
        maxConcurrentRuns: 1,
      },
    },
  });
}

/** Drift starts the retraining: on the three weeks before the alarm's window ended, judged on the last two days of them. */
export async function applyTrigger({ triggers, project }: Millrace): Promise<void> {
  const { trigger, pipeline } = resourceNames(project);
  const before = (duration: string) =>
    `string(timestamp(event.data.alert.windowEnd) - duration("${duration}"))`;
  const mapped = (name: string, value: string) => ({ name, source: { case: 'expression', value } as const });
  await triggers.applyTrigger({
    trigger: {
      name: trigger,
      pipeline,
      eventType: monitoringEvents.alertRaised.type,
      condition: 'event.data.alert.rule == "drift"',
      parameters: [
        mapped('train_from', before('504h')),
        mapped('train_until', before('48h')),
        mapped('evaluate_from', before('48h')),
        mapped('evaluate_until', before('0s')),
      ],
      maxConcurrentRuns: 1,
    },
  });
}

/** Starts the pipeline by hand; answers the run's name. */
export async function startTraining(
  { pipelineRuns, parent, project }: Millrace,
  ranges: Readonly<Record<string, string>>,
  requestId: string,
): Promise<string> {
  const parameters = Object.entries(ranges).map(([name, value]) => ({ name, value: toValue(value) }));
  const { pipelineRun } = await pipelineRuns.createPipelineRun({
    parent,
    pipelineRun: { pipeline: resourceNames(project).pipeline, parameters },
    requestId,
  });
  return pipelineRun?.name ?? '';
}

function toValue(value: JsonValue): Value {
  return fromJson(ValueSchema, value);
}
