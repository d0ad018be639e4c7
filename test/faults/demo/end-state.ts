import { isDeepStrictEqual } from 'node:util';
import { type DescEnum, fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { servingEvents } from '@millrace/contracts';
import { AlertStateSchema } from '@millrace/contracts/monitoring';
import { AttemptState, PipelineRunStateSchema, TaskStateSchema } from '@millrace/contracts/pipelines';
import { GateDecisionOutcomeSchema, GateVerdictSchema, LineageDirection } from '@millrace/contracts/registry';
import { RunStatusSchema } from '@millrace/contracts/tracking';
import type { Millrace } from '@millrace/sdk';
import { readRecord, streamFaults } from './records.ts';

/**
 * What a play left behind, by aspect, without what may differ from play to play: times, latencies, ids, failures that a
 * caller got over. Two plays with equal end states came to the same.
 */
export type EndState = Readonly<Record<string, unknown>>;

/** What each stream lacks of its record or has too much. */
export const streamsAspect = 'gaps and repeats in the streams';

/** Reads the end state from the example's outcome and from the services. */
export async function readEndState(millrace: Millrace, outcome: unknown, natsUrl: string): Promise<EndState> {
  const { days, judgements, counts, retrainings, promoted } = outcome as Record<string, unknown>;
  const { predictions, requests, pushed, labels, byVersion } = counts as Record<string, unknown>;
  const titles = await titlesOf(millrace);
  const [registry, work, alerts, runs, lineage, logged, faults] = await Promise.all([
    readRegistry(millrace),
    readWork(millrace),
    readAlerts(millrace),
    readRuns(millrace),
    readLineage(millrace, titles),
    readLogged(millrace),
    streamFaults(millrace, natsUrl),
  ]);
  return {
    days,
    judgements,
    'prediction counts': { predictions, requests, pushed, labels, byVersion },
    retrainings: { retrainings, promoted },
    ...registry,
    ...work,
    alerts,
    'tracked runs': runs,
    lineage,
    'logged inferences': logged,
    [streamsAspect]: faults,
  };
}

const modelId = 'late-flights';

async function readRegistry({ registry, parent }: Millrace): Promise<EndState> {
  const model = `${parent}/models/${modelId}`;
  const { modelVersions } = await registry.listModelVersions({ parent: model });
  const { decisions } = await registry.listGateDecisions({ parent: model });
  const { alias } = await registry.getAlias({ name: `${model}/aliases/champion` });
  const { moves } = await registry.listAliasMoves({ name: `${model}/aliases/champion` });
  return {
    versions: modelVersions
      .map(({ version, state, digest, description, aliases }) => ({
        version,
        state,
        digest,
        description,
        aliases,
      }))
      .sort((a, b) => a.version - b.version),
    champion: alias?.modelVersion,
    'alias moves': moves.length,
    'gate decisions': decisions
      .map(({ candidate, champion, verdict, reason, outcome }) => ({
        candidate,
        champion,
        verdict: word(GateVerdictSchema, verdict),
        reason,
        outcome: word(GateDecisionOutcomeSchema, outcome),
      }))
      .sort((a, b) => (a.candidate < b.candidate ? -1 : 1)),
  };
}

/** The pipeline runs, and for each task how it ended and how many of its attempts succeeded. */
async function readWork({ pipelineRuns, parent }: Millrace): Promise<EndState> {
  const { pipelineRuns: found } = await pipelineRuns.listPipelineRuns({ parent, pageSize: 100 });
  const runs = found.sort((a, b) => (a.name < b.name ? -1 : 1));
  const tasks = await Promise.all(
    runs.map(async (run, i) => {
      const { tasks } = await pipelineRuns.listTasks({ parent: run.name, pageSize: 100 });
      return tasks.map((task) => ({
        task: `run ${i + 1}, ${task.step}${task.itemIndex === undefined ? '' : `[${task.itemIndex}]`}`,
        state: word(TaskStateSchema, task.state),
        succeeded: task.attempts.filter(({ state }) => state === AttemptState.SUCCEEDED).length,
        running: task.attempts.filter(({ state }) => state === AttemptState.RUNNING).length,
      }));
    }),
  );
  return {
    'pipeline runs': runs.map((run) => ({
      state: word(PipelineRunStateSchema, run.state),
      parameters: run.parameters.map(({ name, value }) => ({ name, value: JSON.stringify(value?.kind) })),
    })),
    tasks: tasks.flat().sort((a, b) => (a.task < b.task ? -1 : 1)),
  };
}

async function readAlerts({ monitoring, parent }: Millrace): Promise<unknown> {
  const { alerts } = await monitoring.listAlerts({ parent: `${parent}/monitors/${modelId}` });
  return alerts
    .map(({ name, rule, state, reason, value, raisedBy, resolvedBy, windowEnd }) => ({
      name,
      rule,
      state: word(AlertStateSchema, state),
      reason,
      value,
      raisedBy,
      resolvedBy,
      windowEnd: windowEnd && new Date(timestampMs(windowEnd)).toISOString(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The runs of tracking: what they say of the same training must be the same; how long it took may differ. */
async function readRuns({ tracking, parent }: Millrace): Promise<unknown> {
  const { runs } = await tracking.searchRuns({ parent, pageSize: 1000 });
  const told = await Promise.all(
    runs.map(async (run) => {
      const { entries } = await tracking.listArtifacts({ parent: run.name, recursive: true });
      return {
        name: run.displayName,
        status: word(RunStatusSchema, run.status),
        params: run.params.map(({ key, value }) => `${key}=${value}`).sort(),
        metrics: run.metrics
          .filter(({ key }) => key !== 'train.seconds')
          .map(({ key, value, step }) => `${key}=${value} @${step}`)
          .sort(),
        artifacts: entries.map(
          ({ path, kind }) => `${path} ${kind.case === 'file' ? kind.value.digest : ''}`,
        ),
      };
    }),
  );
  return told.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Stable words for resources whose ids differ from play to play: the kind, and when among its kind it was made. */
async function titlesOf({ features, pipelineRuns, parent }: Millrace): Promise<ReadonlyMap<string, string>> {
  const { trainingSets } = await features.listTrainingSets({ parent, pageSize: 1000 });
  const { pipelineRuns: runs } = await pipelineRuns.listPipelineRuns({ parent, pageSize: 100 });
  return new Map([
    ...trainingSets.map((set) => [set.name, `training set of ${set.rowCount} rows, ${set.digest}`] as const),
    ...runs
      .map(({ name }) => name)
      .sort()
      .map((name, i) => [name, `pipeline run ${i + 1}`] as const),
  ]);
}

async function readLineage(millrace: Millrace, titles: ReadonlyMap<string, string>): Promise<unknown> {
  const { tracking, registry, lineage, parent } = millrace;
  const { runs } = await tracking.searchRuns({ parent, pageSize: 1000 });
  const names = new Map([...titles, ...runs.map((run) => [run.name, `run ${run.displayName}`] as const)]);
  const { modelVersions } = await registry.listModelVersions({ parent: `${parent}/models/${modelId}` });
  const edges = new Set<string>();
  for (const { name } of modelVersions)
    for (const direction of [LineageDirection.UPSTREAM, LineageDirection.DOWNSTREAM]) {
      const graph = await lineage.getLineage({ resource: name, direction, depth: 20 });
      for (const { from, to, kind } of graph.edges)
        edges.add(`${names.get(from) ?? from} -${kind}-> ${names.get(to) ?? to}`);
    }
  return [...edges].sort();
}

/** What serving recorded of the deployment under watch: rows by version, and those that were recorded again. */
async function readLogged(millrace: Millrace): Promise<unknown> {
  const deployment = `${millrace.parent}/deployments/${modelId}`;
  const versions = new Map<string, number>();
  const seen = new Set<string>();
  let again = 0;
  for (const event of await readRecord(millrace, 'serving', [servingEvents.inferenceLogged.type])) {
    const data = fromBinary(servingEvents.inferenceLogged.schema, event.data);
    if (data.deployment !== deployment || data.shadow) continue;
    for (const id of data.inferenceIds) {
      if (seen.has(id)) again++;
      seen.add(id);
      versions.set(data.modelVersion, (versions.get(data.modelVersion) ?? 0) + 1);
    }
  }
  return { ...Object.fromEntries([...versions].sort()), again };
}

/** The name of an enum's value. */
function word(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName ?? String(value);
}

/** In what two values differ, at most so many places, each as `path: left, not right`. */
export function differences(left: unknown, right: unknown, path = '', most = 6): string[] {
  if (isDeepStrictEqual(left, right)) return [];
  const bothObjects =
    typeof left === 'object' && typeof right === 'object' && left !== null && right !== null;
  if (!bothObjects) return [`${path || 'value'}: ${show(right)}, not ${show(left)}`];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  const at = (value: object, key: string) => (value as Readonly<Record<string, unknown>>)[key];
  return [...keys]
    .flatMap((key) => differences(at(left, key), at(right, key), path ? `${path}.${key}` : key, most))
    .slice(0, most);
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one)) ?? 'nothing';
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
