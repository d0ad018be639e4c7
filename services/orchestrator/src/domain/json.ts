/** A JSON value. Objects come from users; look members up with {@link member} only. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * Most levels of lists and objects in a value. On the wire a level is up to three messages (google.protobuf.Value, Struct and
 * its entry), clients read 100 of them, and a list of pipelines has up to ten around a value.
 */
const maxLevels = 30;

/** What is wrong with a value that is nested too deeply, with what is allowed; undefined when nothing is. */
export function nestingProblem(value: Json): string | undefined {
  const levels = levelsOf(value);
  if (levels <= maxLevels) return undefined;
  return `nested too deeply: ${levels} levels of lists and objects; allowed: at most ${maxLevels}`;
}

/** Goes through a value level by level: a function that called itself would run out of stack first. */
function levelsOf(value: Json): number {
  let levels = 0;
  for (let layer: readonly Json[] = [value]; ; levels++) {
    const holders = layer.filter((one) => typeof one === 'object' && one !== null);
    if (holders.length === 0) return levels;
    layer = holders.flatMap((one) => Object.values(one) as Json[]);
  }
}

/** One text for one value: object members sorted by name, no spaces. Source: RFC 8785, which this follows for what JSON.stringify gives. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** An own member of an object or an item of a list; undefined where there is none. Never looks at prototypes. */
export function member(value: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(value))
    return /^\d{1,9}$/.test(name) ? (value as readonly Json[])[Number(name)] : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, name) ? (value as { readonly [key: string]: Json })[name] : undefined;
}

/** A value as a command gets it: text as it is, everything else as canonical JSON. */
export function textOf(value: Json): string {
  return typeof value === 'string' ? value : canonicalJson(value);
}
