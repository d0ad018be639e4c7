import { fromJson, type JsonObject, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { isCoded } from '@millrace/errors';
import { validatorOf } from '@millrace/rpc';
import { type Kind, kinds } from './kinds.ts';
import { isRecord, type Manifest, type Path, type Problem, unknownKey } from './manifest.ts';
import { shapeMessage } from './shape.ts';

/** A manifest as a message that can be written. */
export interface Prepared {
  readonly manifest: Manifest;
  readonly kind: Kind;
  readonly name: string;
  readonly message: Message;
  /** What was given, in JSON form. */
  readonly json: JsonObject;
  /** The fields that were given, in proto names, without the name. */
  readonly given: readonly string[];
  /** Turns a field that a service complained of into a place: file, line and field. */
  placeOf(field: string): { readonly where: string; readonly field: string };
}

/** Makes the message of a manifest and checks it by the contract; everything wrong goes to `problems`. */
export function prepare(manifest: Manifest, project: string, problems: Problem[]): Prepared | undefined {
  const before = problems.length;
  const report = (path: Path, description: string): undefined => {
    problems.push({ where: manifest.at(path), field: shown(path), description });
    return undefined;
  };
  const kind = Object.hasOwn(kinds, manifest.kind) ? kinds[manifest.kind] : undefined;
  if (!kind) return report(['kind'], unknownKey(manifest.kind, Object.keys(kinds)));
  const { metadata } = manifest;
  if (manifest.kind === 'Gate' && !metadata.model)
    return report(['metadata', 'model'], 'is missing; a gate belongs to a model');
  if (manifest.kind !== 'Gate' && metadata.model) report(['metadata', 'model'], 'is only for gates');

  const places = new Map<string, Path>();
  const walk = { project: metadata.project ?? project, problem: report, places };
  const { name, json } = shapeManifest(manifest, kind, walk);
  if (problems.length > before) return undefined;

  const placeOf = (field: string) => {
    const path = nearestPlace(field, places);
    return { where: manifest.at(path), field: shown(path) };
  };
  try {
    const message = fromJson(kind.schema, json);
    validatorOf(kind.schema)?.(message);
    const given = kind.schema.fields.filter(
      (field) => field.name !== 'name' && Object.hasOwn(json, field.jsonName),
    );
    return { manifest, kind, name, message, json, given: given.map((field) => field.name), placeOf };
  } catch (error) {
    if (!isCoded(error)) return report(['spec'], error instanceof Error ? error.message : String(error));
    for (const { field, description } of error.violations) problems.push({ ...placeOf(field), description });
    return undefined;
  }
}

function shapeManifest(manifest: Manifest, kind: Kind, walk: Parameters<typeof shapeMessage>[4]) {
  const { spec, metadata } = manifest;
  const name = kind.name(walk.project, metadata);
  walk.places.set('name', ['metadata', 'name']);
  if (!kind.within) return { name, json: { ...shapeMessage(kind.schema, spec, ['spec'], '', walk), name } };
  const inner = kind.schema.fields.find((field) => field.name === kind.within);
  const { description, ...rest } = isRecord(spec) ? spec : {};
  walk.places.set(kind.within, ['spec']);
  const shaped = inner?.message ? shapeMessage(inner.message, rest, ['spec'], kind.within, walk) : {};
  const own = description === undefined ? {} : shapeMessage(kind.schema, { description }, ['spec'], '', walk);
  return { name, json: { ...own, name, [kind.within]: shaped } };
}

/** A service names fields from its request on (`deployment.targets[0]`): its first part is left off where need be. */
function nearestPlace(field: string, places: ReadonlyMap<string, Path>): Path {
  for (const start of [field, field.replace(/^[a-z_]+\./, '')])
    for (let path = start; path !== ''; path = path.replace(/(^|\.|\[)[^.[]*$/, '')) {
      const found = places.get(path);
      if (found) return found;
    }
  return ['spec'];
}

function shown(path: Path): string {
  return (
    path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('') ||
    'document'
  );
}

/** Whether a resource already is as given: every field that was given has that value. */
export function isAsGiven({ kind, json }: Prepared, present: Message): boolean {
  return contains(toJson(kind.schema, present) as JsonValue, json);
}

function contains(whole: JsonValue | undefined, part: JsonValue): boolean {
  if (Array.isArray(part))
    return Array.isArray(whole)
      ? whole.length === part.length && part.every((item, i) => contains(whole[i], item))
      : part.length === 0;
  if (typeof part === 'object' && part !== null) {
    if (typeof whole !== 'object' || Array.isArray(whole))
      return Object.keys(part).length === 0 && whole === undefined;
    return Object.entries(part).every(([key, inner]) => contains(whole?.[key], inner));
  }
  // The JSON form leaves out values that are their type's default.
  return whole === undefined ? part === '' || part === 0 || part === '0' || part === false : whole === part;
}
