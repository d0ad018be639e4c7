import { fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import {
  type Context,
  catalogue,
  monitoringEvents,
  pipelinesEvents,
  registryEvents,
  servingEvents,
} from '@millrace/contracts';
import type { RecordedEvent } from '@millrace/contracts/common';
import { type PipelineRunState, PipelineRunStateSchema } from '@millrace/contracts/pipelines';
import { type GateResult, GateVerdict } from '@millrace/contracts/registry';
import type { Millrace } from '@millrace/sdk';
import { insist } from './replay/patience.ts';

/** A state of a pipeline run as a word: `succeeded`. */
export function stateWord(state: PipelineRunState): string {
  return (PipelineRunStateSchema.value[state]?.localName ?? '').toLowerCase();
}

/** One line of what happened. */
export interface Moment {
  /** When, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly what: string;
}

const contexts: readonly Context[] = ['registry', 'pipelines', 'serving', 'monitoring'];
const short = (name: string) => name.split('/').slice(2).join('/');
/** The day that ends at a moment. */
const dayBefore = (end: Parameters<typeof timestampMs>[0] | undefined) =>
  end ? new Date(timestampMs(end) - 1).toISOString().slice(0, 10) : '';

/** Tells what happened from the services' own records of their events, in order of time. */
export async function readStory(millrace: Millrace, sinceMs: number): Promise<readonly Moment[]> {
  const moments: Moment[] = [];
  for (const context of contexts) {
    const log = millrace.eventLog(context);
    const types = [...tellers.keys()].filter((type) => catalogue.get(type)?.context === context);
    for (let afterSequence = 0n; ; ) {
      const page = await insist(() =>
        log.listEvents({ afterSequence, types, project: millrace.project, pageSize: 1000 }),
      );
      for (const event of page.events) {
        const what = tellers.get(event.type)?.(event);
        const timeMs = event.time ? timestampMs(event.time) : 0;
        if (what && timeMs >= sinceMs) moments.push({ timeMs, what });
      }
      if (page.events.length === 0) break;
      afterSequence = page.lastSequence;
    }
  }
  return moments.sort((a, b) => a.timeMs - b.timeMs);
}

/** What a gate saw, in numbers: `gate better-than-champion passed: auc 0.7252 against 0.7074`. */
export function gateLine({ gate, verdict, reason, inputs }: GateResult): string {
  const said = `gate ${gate.split('/').at(-1)} ${verdict === GateVerdict.PASSED ? 'passed' : 'refused'}`;
  const seen = new Map<string, { candidate?: number; champion?: number }>();
  for (const { path, value } of inputs) {
    const [, side, metric] = /^(candidate|champion)\.metrics(?:\.|\[")([^"\]]+)/.exec(path) ?? [];
    if (!side || !metric || value.case !== 'number') continue;
    seen.set(metric, { ...seen.get(metric), [side]: value.value });
  }
  const numbers = [...seen].flatMap(([metric, { candidate, champion }]) => {
    if (candidate === undefined) return [];
    const against = champion === undefined ? '' : ` against ${champion.toFixed(4)}`;
    return [`${metric} ${candidate.toFixed(4)}${against}`];
  });
  return `${said}: ${numbers.length > 0 ? numbers.join(', ') : reason}`;
}

type Teller = (event: RecordedEvent) => string | undefined;

/** What is worth telling, and how. */
const tellers: ReadonlyMap<string, Teller> = new Map<string, Teller>([
  [
    registryEvents.modelVersionReady.type,
    ({ data }) =>
      `${short(fromBinary(registryEvents.modelVersionReady.schema, data).modelVersion)} registered and checked`,
  ],
  [
    registryEvents.gateDecided.type,
    ({ data }) => {
      const { decision } = fromBinary(registryEvents.gateDecided.schema, data);
      return decision?.results.map(gateLine).join('; ') || `gate: ${decision?.reason}`;
    },
  ],
  [
    registryEvents.aliasMoved.type,
    ({ data }) => {
      const moved = fromBinary(registryEvents.aliasMoved.schema, data);
      return `alias ${moved.alias} → version ${moved.version}${moved.previousVersion ? ` (was ${moved.previousVersion})` : ''}`;
    },
  ],
  [
    servingEvents.modelLoaded.type,
    ({ data }) => {
      const loaded = fromBinary(servingEvents.modelLoaded.schema, data);
      const version = loaded.modelVersion.split('/').at(-1);
      return `${short(loaded.deployment)} answers with version ${version}, loaded in ${Math.round(loaded.loadMs)} ms`;
    },
  ],
  [
    monitoringEvents.driftDetected.type,
    ({ data }) => {
      const { windowEnd, share, reasons } = fromBinary(monitoringEvents.driftDetected.schema, data);
      return `drift on ${dayBefore(windowEnd)}: ${Math.round(share * 100)} % of columns; ${reasons[0]}`;
    },
  ],
  [
    monitoringEvents.alertRaised.type,
    ({ data }) => {
      const { alert } = fromBinary(monitoringEvents.alertRaised.schema, data);
      return `ALARM ${alert?.rule}: ${alert?.reason}`;
    },
  ],
  [
    monitoringEvents.alertResolved.type,
    ({ data }) => {
      const { alert } = fromBinary(monitoringEvents.alertResolved.schema, data);
      return `alarm ${alert?.rule} is over`;
    },
  ],
  [
    pipelinesEvents.runStateChanged.type,
    ({ data }) => {
      const run = fromBinary(pipelinesEvents.runStateChanged.schema, data);
      const word = stateWord(run.to);
      return ['running', 'succeeded', 'failed', 'cancelled', 'timed_out'].includes(word)
        ? `pipeline run ${word}${run.reason ? `: ${run.reason}` : ''}`
        : undefined;
    },
  ],
  [
    pipelinesEvents.triggerFired.type,
    ({ data }) => {
      const fired = fromBinary(pipelinesEvents.triggerFired.schema, data);
      return `trigger ${short(fired.trigger)} ${fired.run ? 'started a run' : `started no run: ${fired.reason}`}`;
    },
  ],
]);
