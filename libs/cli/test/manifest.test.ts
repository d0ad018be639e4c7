import { create, type DescMessage, equals, toJson } from '@bufbuild/protobuf';
import { MonitorSchema } from '@millrace/contracts/monitoring';
import { PipelineSchema } from '@millrace/contracts/pipelines';
import { DeploymentSchema, LoggingMode } from '@millrace/contracts/serving';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { kinds } from '../src/apply/kinds.ts';
import { type Problem, parseManifests, problemsError } from '../src/apply/manifest.ts';
import { isAsGiven, prepare } from '../src/apply/prepare.ts';

/** Reads a text; throws what is wrong as one error. */
function read(text: string) {
  const problems: Problem[] = [];
  const manifests = parseManifests(text, 'a.yaml', problems);
  const prepared = manifests.flatMap((one) => prepare(one, 'demo', problems) ?? []);
  if (problems.length > 0) throw problemsError(problems);
  return prepared;
}

const deployment = `kind: Deployment
metadata: { name: flights }
spec:
  targets:
    - { model: flight delay, alias: champion, weight: 1 }
  batching: { max_delay: 5ms, maxRows: 64 }
  logging: { mode: whole }
  tags: { team: flights, tier: "1" }
`;

describe('manifests', () => {
  it('completes names, times, enum values and mappings', () => {
    const [one] = read(deployment);
    const expected = create(DeploymentSchema, {
      name: 'projects/demo/deployments/flights',
      targets: [
        {
          model: 'projects/demo/models/flight%20delay',
          selector: { case: 'alias', value: 'champion' },
          weight: 1,
        },
      ],
      batching: { maxDelay: { nanos: 5_000_000 }, maxRows: 64 },
      logging: { mode: LoggingMode.WHOLE },
      tags: [
        { key: 'team', value: 'flights' },
        { key: 'tier', value: '1' },
      ],
    });
    expect(equals(DeploymentSchema, one!.message as typeof expected, expected)).toBe(true);
    expect(one!.given).toEqual(['targets', 'batching', 'logging', 'tags']);
  });

  it('puts the spec of a pipeline where it belongs', () => {
    const [one] = read(`kind: Pipeline
metadata: { name: retrain, project: other }
spec:
  description: trains
  steps: [{ name: a, command: { argv: [echo, hi] }, timeout: 1h30m, for_each: { items: [1, x, { y: 2 }] } }]
`);
    expect(toJson(PipelineSchema, one!.message as never)).toMatchObject({
      name: 'projects/other/pipelines/retrain',
      description: 'trains',
      spec: { steps: [{ name: 'a', timeout: '5400s', forEach: { items: [1, 'x', { y: 2 }] } }] },
    });
  });

  it.each([
    ['kind: Deploiment\nmetadata: { name: a }', /a\.yaml:1 \(document 1\): kind: .*did you mean Deployment/],
    ['a: 1', /a: is not known; allowed: kind, metadata, spec/],
    [
      `${deployment}---\n${deployment.replace('alias:', 'allias:')}`,
      /a\.yaml:14 \(document 2\): spec\.targets\[0\]\.allias: is not known; did you mean alias/,
    ],
    [deployment.replace('weight: 1', 'weight: -1'), /a\.yaml:5 .*spec\.targets\[0\]\.weight: /],
    [deployment.replace('weight: 1', 'weight: heavy'), /weight: "heavy" is not a number/],
    [
      deployment.replace('mode: whole', 'mode: hole'),
      /a\.yaml:7 .*mode: "hole" is not one of .*did you mean whole/,
    ],
    [deployment.replace('5ms', 'soon'), /a\.yaml:6 .*max_delay: "soon" is not a time/],
    [deployment.replace('flight delay', '7'), /model: 7|model: .*not a text/],
    [
      'kind: Gate\nmetadata: { name: a }\nspec: { expression: "true", alias: x }',
      /metadata\.model: is missing/,
    ],
    ['kind: Model\nmetadata: { name: a\n', /YAML/],
    ['kind: Model\nmetadata: { name: a }\nspec: [1]', /spec: is not a mapping/],
    ['kind: constructor\nmetadata: { name: a }', /kind: is not known/],
    ['kind: Model\nmetadata: { name: a, ? [b] : c }', /YAML: .*keys must be strings/],
  ])('names the place of what is wrong: %#', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it('tells every problem at once', () => {
    const text = deployment.replace('alias:', 'allias:').replace('whole', 'hole');
    expect(() => read(text)).toThrow(/allias.*\n.*hole/);
  });

  it('sees whether a resource is as given', () => {
    const [one] = read(deployment);
    const present = { ...one!.message, etag: '3', instances: 1 };
    expect(isAsGiven(one!, present)).toBe(true);
    const [other] = read(deployment.replace('weight: 1', 'weight: 2'));
    expect(isAsGiven(other!, one!.message)).toBe(false);
  });

  it('gives back what was written as the JSON form of the contract', () => {
    const rule = fc.record({
      id: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]$/),
      metric: fc.constant('drift.share'),
      comparison: fc.constantFrom('greater_or_equal', 'LESS_OR_EQUAL', 'COMPARISON_LESS_OR_EQUAL'),
      threshold: fc.double({ noNaN: true, noDefaultInfinity: true }),
      raise_after: fc.integer({ min: 1, max: 1000 }),
      description: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !/\p{Cc}/u.test(text)),
    });
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 5 }), fc.integer({ min: 1, max: 90 }), (rules, days) => {
        const spec = { deployment: 'd', window: { length: `${days}d` }, alert_rules: rules };
        const [one] = read(stringify({ kind: 'Monitor', metadata: { name: 'm' }, spec }));
        const { window, alertRules } = one!.message as never as {
          window: { length: { seconds: bigint } };
          alertRules: typeof rules;
        };
        expect(window.length.seconds).toBe(BigInt(days * 86_400));
        expect(alertRules.map((one) => [one.id, one.threshold, one.description])).toEqual(
          rules.map((one) => [one.id, one.threshold, one.description]),
        );
        // Written by the contract's own names, it means the same.
        const own = toJson(MonitorSchema as DescMessage, one!.message) as Record<string, unknown>;
        const { name: _, ...again } = own;
        const [two] = read(stringify({ kind: 'Monitor', metadata: { name: 'm' }, spec: again }));
        expect(equals(MonitorSchema as DescMessage, one!.message, two!.message)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('writes what others refer to first', () => {
    expect(Object.keys(kinds)).toEqual([
      'Entity',
      'Source',
      'FeatureView',
      'Model',
      'Gate',
      'Pipeline',
      'Schedule',
      'Trigger',
      'Deployment',
      'Monitor',
    ]);
  });
});
