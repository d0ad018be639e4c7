import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json } from '../src/domain/json.ts';
import { completeParameters } from '../src/domain/parameters.ts';
import { parseTemplate, renderText } from '../src/domain/template.ts';
import { validateSpec } from '../src/domain/validate.ts';
import { createExpressions } from '../src/expressions.ts';
import { output, spec, step } from './specs.ts';

const expressions = createExpressions();
const problems = (of: Parameters<typeof validateSpec>[0]) =>
  validateSpec(of, expressions).map((v) => `${v.field}: ${v.description}`);

describe('a specification is refused', () => {
  test.each([
    [
      'a cycle of templates and depends_on',
      spec([
        step('a', ['${steps.c.outputs.y}'], { command: { outputs: [output('y')] } }),
        step('b', ['x'], { dependsOn: ['a'] }),
        step('c', ['x'], { dependsOn: ['b'], command: { outputs: [output('y')] } }),
      ]),
      /^steps: the steps form a cycle: (a → b → c → a|b → c → a → b|c → a → b → c);/,
    ],
    [
      'a step that depends on itself',
      spec([step('a', ['x'], { dependsOn: ['a'] })]),
      /^steps\[0\]\.depends_on\[0\]: .*a → a/,
    ],
    [
      'a cycle through conditions',
      spec([step('a', ['x'], { when: "steps.b.state == 'FAILED'" }), step('b', ['x'], { dependsOn: ['a'] })]),
      /cycle: a → b → a|cycle: b → a → b/,
    ],
    [
      'an unknown step',
      spec([step('a', ['x'], { dependsOn: ['b'] })]),
      /^steps\[0\]\.depends_on\[0\]: "b" is not a step/,
    ],
    [
      'an unknown output',
      spec([step('a'), step('b', ['x', '${steps.a.outputs.q}'])]),
      /^steps\[1\]\.command\.argv\[1\]: step a has no output "q"/,
    ],
    [
      'an unknown parameter',
      spec([step('a', ['${params.q}'])]),
      /^steps\[0\]\.command\.argv\[0\]: .*not a parameter/,
    ],
    [
      'an unknown parameter in a condition',
      spec([step('a', ['x'], { when: 'params.q > 1' })]),
      /^steps\[0\]\.when: params\.q is not/,
    ],
    ['a condition that is no CEL', spec([step('a', ['x'], { when: '1 +' })]), /^steps\[0\]\.when: .*no CEL/],
    [
      'an unknown variable',
      spec([step('a', ['x'], { when: 'process.exit()' })]),
      /^steps\[0\]\.when: "process" is not a variable/,
    ],
    [
      'a template that is none',
      spec([step('a', ['${nope}'])]),
      /^steps\[0\]\.command\.argv\[0\]: \$\{nope\} is not a reference/,
    ],
    ['an open template', spec([step('a', ['${params.'])]), /argv\[0\]/],
    ['an item without a list', spec([step('a', ['${item}'])]), /for_each/],
    ['a name used twice', spec([step('a'), step('a')]), /^steps\[1\]\.name: "a" is used/],
    ['a name an exit step uses too', spec([step('a')], { exitSteps: [step('a')] }), /^exit_steps\[0\]\.name/],
    [
      'a step after an exit step',
      spec([step('a', ['x'], { dependsOn: ['z'] })], { exitSteps: [step('z')] }),
      /"z" is an exit step/,
    ],
    ['the run’s state in a step', spec([step('a', ['${run.state}'])]), /only to exit steps/],
    [
      'an input that is no artifact',
      spec([
        step('a', ['x'], { command: { outputs: [output('y')] } }),
        step('b', ['x'], {
          command: { inputs: [{ name: 'i', from: '${steps.a.outputs.y}', optional: false }] },
        }),
      ]),
      /^steps\[1\]\.command\.inputs\[0\]\.from: .*ARTIFACT/,
    ],
    [
      'a variable of ours',
      spec([step('a', ['x'], { command: { env: [{ name: 'MILLRACE_RUN', value: 'x', secret: false }] } })]),
      /^steps\[0\]\.command\.env\[0\]\.name/,
    ],
    [
      'a default of another type',
      spec([step('a')], { parameters: [{ name: 'n', type: 'int', defaultValue: 'x', description: '' }] }),
      /^parameters\[0\]\.default_value/,
    ],
  ])('for %s', (_, of, expected) => {
    expect(problems(of).join('\n')).toMatch(expected);
  });

  test('never for a chain of 500 steps', () => {
    const chain = Array.from({ length: 500 }, (_, i) =>
      step(`s${i}`, ['x'], i > 0 ? { dependsOn: [`s${i - 1}`] } : {}),
    );
    expect(problems(spec(chain))).toEqual([]);
  });
});

describe('templates', () => {
  test('a value stays one text, whatever it contains', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(renderText('--x=${params.v}', () => value)).toEqual({ value: `--x=${value}` });
      }),
    );
    expect(renderText('$${params.v}', () => 'no')).toEqual({ value: '${params.v}' });
    expect(renderText('${params.v.a.1}', () => ({ a: [1, { b: 2 }] }))).toEqual({ value: '{"b":2}' });
    expect(renderText('${params.v.constructor}', () => ({}))).toEqual({ missing: '${params.v.constructor}' });
  });
  test('parsing never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseTemplate(text)));
  });
});

describe('expressions', () => {
  const errorOf = (text: string) => {
    const compiled = expressions.compile(text);
    return 'error' in compiled ? compiled.error : undefined;
  };
  test('that would take time in the power of their nesting are refused, and deep ones too', () => {
    const loops = (depth: number): string =>
      depth === 0 ? 'true' : `[1, 2, 3].all(x${depth}, ${loops(depth - 1)})`;
    expect(errorOf(loops(2))).toBeUndefined();
    expect(errorOf(loops(3))).toContain('macros are nested 3 deep; allowed are 2');
    expect(errorOf(`[1].map(x, ${loops(2)}) == []`)).toContain('nested 3 deep');
    expect(errorOf(`${'('.repeat(33)}true${')'.repeat(33)}`)).toContain('nested 33 deep; allowed are 32');
    expect(errorOf(`${'!'.repeat(40)}true`)).toContain('nested 40 deep');
    expect(errorOf(`"${'('.repeat(99)}" == ""`)).toBeUndefined();
  });

  test('row 18: a value that is nested too deeply to be read is none', () => {
    const nest = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    const run = (data: string) => {
      const compiled = expressions.compile(`[${'{"a": '.repeat(9)}event.data${'}'.repeat(9)}]`);
      if ('error' in compiled) throw new Error(compiled.error);
      return compiled.evaluate({ event: { data: JSON.parse(data) as Json } });
    };
    expect(run(nest(20))).toHaveProperty('value');
    expect(run(nest(21))).toEqual({ error: expect.stringContaining('31 levels of lists and objects') });
  });

  test('row 18: an event of a hundred thousand things is not gone through for each of them', () => {
    const run = (text: string, items: number) => {
      const compiled = expressions.compile(text);
      if ('error' in compiled) throw new Error(compiled.error);
      const ids = Array.from({ length: items }, (_, i) => `${i}`);
      return compiled.evaluate({ event: { data: { deep: [{ ids }] } } });
    };
    const ids = 'event.data.deep[0].ids';
    expect(run(`${ids}.all(a, a != "x")`, 100_000)).toEqual({ value: true });
    expect(run(`${ids}.all(a, ${ids}.exists(b, a == b))`, 100)).toEqual({ value: true });
    expect(run(`${ids}.all(a, ${ids}.exists(b, a == b))`, 100_000)).toEqual({
      error: expect.stringContaining('a list has 100000 items; allowed where macros are nested are 1000'),
    });
  });

  test('row 18: any words are an expression or refused, at once', () => {
    const words = [
      'event',
      '.',
      'data',
      '[',
      ']',
      '(',
      ')',
      '{',
      '}',
      '?',
      ':',
      '!',
      '-',
      '+',
      '&&',
      '||',
      '==',
      'in',
      '"a"',
      "'",
      '0',
      '1u',
      '1e999',
      '9223372036854775808',
      'null',
      'true',
      'map',
      'all(x, ',
      'exists_one',
      'has(',
      'matches("(a+)+$")',
      'size()',
      'duration("1s")',
      'timestamp("x")',
      'int(',
      'dyn(',
      'type(',
      'b"\\xff"',
      '/',
      '%',
      '0',
      ',',
      '__proto__',
      'constructor',
      '\n',
      '//',
    ];
    const text = fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((all) => all.join(''));
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'grapheme', maxLength: 60 })), (expression) => {
        const compiled = expressions.compile(expression);
        if ('error' in compiled) expect(compiled.error.length).toBeLessThan(1_000);
        else compiled.evaluate({ event: { data: { a: ['b'], __proto__: null } } });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('parameters', () => {
  const of = spec([step('a')], {
    parameters: [
      { name: 'n', type: 'int', description: '' },
      { name: 's', type: 'string', defaultValue: 'd', description: '' },
    ],
  });
  test('defaults fill in', () => {
    expect(completeParameters(of, [{ name: 'n', value: 1 }], 'p')).toEqual({
      parameters: [
        { name: 'n', value: 1 },
        { name: 's', value: 'd' },
      ],
    });
  });
  test.each([
    ['a missing one', [], 'p'],
    [
      'an unknown one',
      [
        { name: 'n', value: 1 },
        { name: 'q', value: 1 },
      ],
      'p[1].name',
    ],
    ['a wrong type', [{ name: 'n', value: 1.5 }], 'p[0].value'],
    [
      'one given twice',
      [
        { name: 'n', value: 1 },
        { name: 'n', value: 2 },
      ],
      'p[1].name',
    ],
  ] as [string, { name: string; value: Json }[], string][])('%s is refused', (_, given, field) => {
    const result = completeParameters(of, given, 'p');
    expect('violations' in result && result.violations.map((v) => v.field)).toContain(field);
  });
});
