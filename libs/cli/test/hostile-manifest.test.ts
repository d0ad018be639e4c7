import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Problem, parseManifests } from '../src/apply/manifest.ts';
import { prepare } from '../src/apply/prepare.ts';

/** YAML that its author means badly. */
function read(text: string) {
  const problems: Problem[] = [];
  const manifests = parseManifests(text, 'x.yaml', problems);
  const prepared = manifests.map((manifest) => prepare(manifest, 'default', problems));
  return { manifests, prepared, problems: problems.map((one) => `${one.field}: ${one.description}`) };
}

const model = (spec: string) => `kind: Model\nmetadata: {name: m}\nspec:\n${spec.replaceAll(/^/gm, '  ')}`;
const letters = [...'abcdefghij'];
/** Nine nines: ten lines that stand for 3.5 billion values. */
const bomb = letters
  .map(
    (name, i) =>
      `${name}: &${name} [${Array(9)
        .fill(i === 0 ? 'x' : `*${letters[i - 1]}`)
        .join()}]`,
  )
  .join('\n');

describe('is refused with its place, and the documents after it are read', () => {
  it.each([
    ['aliases that grow', bomb, 'its aliases stand for more than 100 values'],
    ['aliases that grow in a spec', model(bomb), 'its aliases stand for more than 100 values'],
    ['an alias of itself', model('tags: &a [*a]'), 'an alias stands inside of what it names'],
    ['an alias of nothing', 'kind: *x', 'Unresolved alias'],
    ['lists 20,000 deep', '['.repeat(20_000), 'Nested too deeply'],
    ['mappings 3,000 deep', model(`a: ${'{a: '.repeat(3_000)}1${'}'.repeat(3_000)}`), 'Nested too deeply'],
    [
      'blocks 3,000 deep',
      Array.from({ length: 3_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      'Nested too deeply',
    ],
    ['a key twice', model('description: a\ndescription: b'), 'Map keys must be unique'],
    ['a tag that would make an object', 'kind: !!js/function "x"\nmetadata: {name: m}', 'Unresolved tag'],
    ['a tag of another language', '!!python/object/apply:os.system ["id"]', 'Unresolved tag'],
  ])('%s', (_, text, problem) => {
    const begun = performance.now();
    const found = read(`${text}\n---\n${model('description: good')}`);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(found.problems[0]).toMatch(/^YAML: /);
    expect(found.problems.join('\n')).toContain(problem);
    expect(found.problems.join('\n')).not.toMatch(/node_modules|\n\s+at /);
    // A file that is nested too deeply is not read on.
    if (problem !== 'Nested too deeply')
      expect(found.manifests.at(-1)?.spec).toEqual({ description: 'good' });
  });
});

describe('names of prototypes are names', () => {
  it.each([
    ['at the root', '__proto__: {kind: Model}\nmetadata: {name: m}', '__proto__: is not known'],
    [
      'in the metadata',
      'kind: Model\nmetadata: {name: m, __proto__: {project: x}}',
      'metadata.__proto__: is not known',
    ],
    ['in a spec', model('constructor: 1'), 'spec.constructor: is not known'],
    ['as a kind', 'kind: __proto__\nmetadata: {name: m}', 'kind'],
    ['as a merge', 'kind: Model\nmetadata: &m {name: m}\nspec: {<<: *m}', 'spec.<<: is not known'],
  ])('%s', (_, text, problem) => {
    expect(read(text).problems.join('\n')).toContain(problem);
    expect(({} as { project?: string }).project).toBeUndefined();
  });

  it('of tags', () => {
    const { problems, manifests } = read(model('tags: {__proto__: a, constructor: b}'));
    expect(problems).toEqual([]);
    expect(Object.keys((manifests[0]!.spec as { tags: object }).tags)).toEqual(['__proto__', 'constructor']);
  });
});

it('any text is read, or told of', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...'kind: |metadata: |name: |spec:|Model|- |---|\n|  |&a |*a|[|]|{|}|: |!!binary |!!set |? |<<: |__proto__: |"|\'|>|%YAML 1.2|1e999|.nan|~|2001-01-01|\t|\0|\ufeff|#'.split(
        '|',
      ),
    ),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const { problems } = read(pieces.join(''));
      for (const problem of problems) expect(problem.length).toBeLessThan(1_000);
    }),
    { numRuns: 500 },
  );
});
