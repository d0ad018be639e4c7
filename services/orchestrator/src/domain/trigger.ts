import type { Expressions } from './expression.ts';
import type { Json } from './json.ts';
import type { Parameter } from './parameters.ts';

export interface Trigger {
  readonly project: string;
  readonly name: string;
  readonly pipeline: string;
  readonly eventType: string;
  /** Only events about this resource or below it; empty means any. */
  readonly resource: string;
  /** CEL; empty means all. */
  readonly condition: string;
  readonly parameters: readonly ({ readonly name: string } & (
    | { readonly value: Json }
    | { readonly expression: string }
  ))[];
  readonly coolDownMs: number;
  /** 0: no limit. */
  readonly maxConcurrentRuns: number;
  readonly paused: boolean;
  /** A run that is decided upon and not told of yet. It is started by whoever looks at the trigger next. */
  readonly starting?: {
    readonly eventId: string;
    readonly parameters: readonly Parameter[];
    readonly atMs: number;
  };
  /** Events before this moment are not its business. */
  readonly activeSinceMs: number;
  readonly lastFireAtMs?: number;
  readonly lastRun?: string;
  readonly lastReason: string;
  readonly fireCount: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** An event as conditions see it. */
export interface TriggerEvent {
  readonly id: string;
  readonly type: string;
  readonly project: string;
  readonly resource: string;
  readonly timeMs: number;
  readonly data: Json;
}

/** Nothing to do; or left out for a reason worth keeping; or a run with these parameters. */
export type TriggerDecision =
  | { readonly do: 'nothing'; readonly reason: string }
  | { readonly do: 'leave_out'; readonly reason: string }
  | { readonly do: 'fire'; readonly parameters: readonly Parameter[]; readonly reason: string };

/** What a trigger does about an event while `open` of its runs are not terminal. Pure. */
export function decideTrigger(
  trigger: Trigger,
  event: TriggerEvent,
  open: number,
  expressions: Expressions,
  nowMs: number,
): TriggerDecision {
  if (trigger.paused) return { do: 'nothing', reason: 'it rests' };
  if (event.timeMs < trigger.activeSinceMs) return { do: 'nothing', reason: 'the event was before it began' };
  if (event.type !== trigger.eventType || event.project !== trigger.project)
    return { do: 'nothing', reason: 'the event is of another type or project' };
  const { resource } = trigger;
  if (resource && event.resource !== resource && !event.resource.startsWith(`${resource}/`))
    return { do: 'nothing', reason: 'the event is about another resource' };
  const bindings = {
    event: {
      id: event.id,
      type: event.type,
      project: event.project,
      resource: event.resource,
      time: new Date(event.timeMs).toISOString(),
      data: event.data,
    },
  };
  const evaluate = (text: string) => {
    const compiled = expressions.compile(text);
    return 'error' in compiled ? compiled : compiled.evaluate(bindings);
  };
  if (trigger.condition) {
    const answer = evaluate(trigger.condition);
    if ('error' in answer)
      return { do: 'leave_out', reason: `condition ${trigger.condition}: ${answer.error}` };
    if (answer.value !== true) return { do: 'nothing', reason: `condition ${trigger.condition} is not true` };
  }
  const { coolDownMs, lastFireAtMs, maxConcurrentRuns } = trigger;
  if (lastFireAtMs !== undefined && nowMs - lastFireAtMs < coolDownMs)
    return { do: 'leave_out', reason: `it cools down for another ${coolDownMs - (nowMs - lastFireAtMs)} ms` };
  if (maxConcurrentRuns > 0 && open >= maxConcurrentRuns)
    return {
      do: 'leave_out',
      reason: `${open} of its runs are not terminal; at most ${maxConcurrentRuns} may be`,
    };
  const parameters: Parameter[] = [];
  for (const source of trigger.parameters) {
    if ('value' in source) {
      parameters.push({ name: source.name, value: source.value });
      continue;
    }
    const answer = evaluate(source.expression);
    if ('error' in answer)
      return { do: 'leave_out', reason: `parameter ${source.name}, ${source.expression}: ${answer.error}` };
    parameters.push({ name: source.name, value: answer.value });
  }
  return { do: 'fire', parameters, reason: 'the event matched' };
}
