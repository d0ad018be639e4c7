import { defect } from './defect.ts';
import type { AnyCollectionSpec } from './port.ts';
import { keyOf } from './query/key.ts';

const namePattern = /^[a-zA-Z][a-zA-Z0-9_-]{0,62}$/;

/** Refuses declarations that no adapter could serve: bad or double names, indexes over undeclared fields. */
export function checkSpecs(specs: readonly AnyCollectionSpec[]): void {
  refuseDoubles(
    specs.map((spec) => spec.name),
    'collection',
  );
  for (const spec of specs) {
    const fields = Object.keys(spec.fields);
    refuseDoubles(fields, `field of ${spec.name}`);
    for (const index of spec.indexes) {
      refuseDoubles(index, `field in an index of ${spec.name}`);
      if (index.length === 0) throw defect(`${spec.name} declares an index of no fields`);
      const unknown = index.find((field) => !fields.includes(field));
      if (unknown !== undefined) throw defect(`${spec.name} declares an index over ${unknown}, not a field`);
    }
  }
}

/** The index keys of a document, one for each declared field. */
export function fieldKeys(spec: AnyCollectionSpec, doc: unknown): Record<string, string> {
  const keys: Record<string, string> = {};
  for (const [field, read] of Object.entries(spec.fields)) keys[field] = keyOf(read(doc as never));
  return keys;
}

/** Refuses an id that a database would not keep as it is. */
export function checkId(spec: AnyCollectionSpec, id: string): void {
  if (id.length === 0 || id.length > 1024 || !id.isWellFormed())
    throw defect(`an id of ${spec.name} has 1 to 1024 characters of well-formed text, not ${id.length}`);
}

function refuseDoubles(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (!namePattern.test(name)) throw defect(`'${name}' cannot be the name of a ${what}: ${namePattern}`);
    // SQLite does not tell apart names that differ by case only.
    if (seen.has(name.toLowerCase())) throw defect(`the ${what} ${name} is declared twice`);
    seen.add(name.toLowerCase());
  }
}
