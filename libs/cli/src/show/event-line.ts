import type { JsonValue } from '@bufbuild/protobuf';
import { number, short } from './format.ts';
import { clean } from './text.ts';

/** The most names and values of an event's data that are shown on its line. */
const mostValues = 6;
const longestValue = 60;

/** An event on one line: time, type, resource, and what its data says besides. */
export function eventLine(event: {
  readonly timeMs: number;
  readonly type: string;
  readonly resource: string;
  readonly data: JsonValue;
}): string {
  const time = new Date(event.timeMs).toISOString().replace('T', ' ').slice(0, 23);
  return `${time}  ${shortType(event.type).padEnd(32)}  ${clean(short(event.resource))}  ${summary(event.data, event.resource)}`.trimEnd();
}

/** `millrace.registry.alias.moved.v1` as `registry.alias.moved`. */
export function shortType(type: string): string {
  return type.replace(/^millrace\./, '').replace(/\.v1$/, '');
}

/** The first scalar values of a message in JSON form, outermost first; lists as their length. */
export function summary(data: JsonValue, resource = ''): string {
  const shown: string[] = [];
  const queue: [string, JsonValue][] = [['', data]];
  for (let next = queue.shift(); next && shown.length < mostValues; next = queue.shift()) {
    const [path, value] = next;
    if (value === null || value === '' || value === resource) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) shown.push(`${path}[${value.length}]`);
    } else if (typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) queue.push([key, inner]);
    } else if (!hidden.has(path)) shown.push(`${path}=${scalar(value)}`);
  }
  return shown.join(' ');
}

/** What every resource has and nobody reads on a line. */
const hidden = new Set(['name', 'etag', 'createTime', 'updateTime']);

function scalar(value: string | number | boolean): string {
  if (typeof value === 'number') return number(value);
  const text = clean(short(String(value)));
  const cut = text.length > longestValue ? `${text.slice(0, longestValue - 1)}…` : text;
  return /\s/.test(cut) ? JSON.stringify(cut) : cut;
}
