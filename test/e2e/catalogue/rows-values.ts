import { contexts } from '@millrace/contracts';
import { expect, it } from 'vitest';
import { runCommand } from './commands.ts';
import { all, invalid, type Session } from './session.ts';

/** Texts and numbers: rows 15, 16, 18 and 27. */
export function valueRows(session: () => Session): void {
  it('row 15: what looks like a query is a text, and what is none is refused', async () => {
    const { tracking, parent } = session().millrace;
    const value = "1'; DROP TABLE runs; --";
    const { run } = await tracking.createRun({
      parent,
      run: { experiment: `${parent}/experiments/0`, tags: [{ key: '$where', value }] },
    });
    const found = await tracking.searchRuns({ parent, filter: `tags."$where" = "${value}"` });
    expect(found.runs.map(({ name }) => name)).toEqual([run?.name]);
    for (const filter of [
      'metrics.x > 1; DROP TABLE runs',
      '{"$where":"1"}',
      'name[$ne]=1',
      "tags.a = 'x' OR 1=1",
      "tags.a = 'x' --",
      "tags.a LIKE '%' UNION SELECT 1",
    ])
      await expect(tracking.searchRuns({ parent, filter }), filter).rejects.toMatchObject(invalid);
  });

  it('row 16: names of prototypes are names', async () => {
    const { tracking, parent } = session().millrace;
    const keys = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'];
    const pairs = keys.map((key) => ({ key, value: key }));
    const { run } = await tracking.createRun({
      parent,
      run: { experiment: `${parent}/experiments/0`, tags: pairs },
    });
    const name = run?.name ?? '';
    const metrics = keys.map((key) => ({ key, value: 1 }));
    await tracking.logBatch({ name, params: pairs, metrics });
    const { run: read } = await tracking.getRun({ name });
    const sorted = (all: readonly { key: string }[] = []) => all.map(({ key }) => key).toSorted();
    expect(sorted(read?.tags)).toEqual(keys.toSorted());
    expect(sorted(read?.params)).toEqual(keys.toSorted());
    expect(sorted(read?.metrics)).toEqual(keys.toSorted());
    const { runs } = await tracking.searchRuns({
      parent,
      filter: "params.__proto__ = '__proto__' AND metrics.constructor = 1",
    });
    expect(runs.map((one) => one.name)).toEqual([name]);
    const said = await runCommand(session().millrace, 'prototypes', {
      argv: [
        'node',
        '-e',
        'console.log(process.argv.slice(1).join())',
        ...keys.map((key) => `\${params.${key}}`),
      ],
      parameters: Object.fromEntries(keys.map((key) => [key, `of ${key}`])) as Record<string, string>,
    });
    expect(said.trim()).toBe(
      keys.map((key) => (key === '__proto__' ? said.split(',')[0] : `of ${key}`)).join(),
    );
  });

  it('row 18: what is nested without end is refused at once', async () => {
    const { tracking, registry, triggers, pipelines, schedules, parent } = session().millrace;
    const deep = (open: string, close: string, times: number) =>
      `${open.repeat(times)}true${close.repeat(times)}`;
    const expressions = [
      ...[deep('(', ')', 2_000), deep('[', ']', 2_000), deep('!', '', 4_000), deep('{1:', '}', 1_000)],
      ...['('.repeat(4_000), 'a.'.repeat(2_000)],
    ];
    const begun = performance.now();
    for (const text of expressions) {
      const model = `${parent}/models/heat`;
      const gate = registry.createGate({
        parent: model,
        gateId: 'deep',
        gate: { alias: 'a', expression: text },
      });
      await expect(gate, text.slice(0, 20)).rejects.toMatchObject(invalid);
      const step = { name: 'a', when: text, action: { case: 'command' as const, value: { argv: ['true'] } } };
      const applied = pipelines.applyPipeline({
        pipeline: { name: `${parent}/pipelines/deep`, spec: { steps: [step] } },
      });
      await applied.catch((error: unknown) => expect(error).toMatchObject(invalid));
      const trigger = {
        name: `${parent}/triggers/deep`,
        pipeline: `${parent}/pipelines/answer`,
        eventType: 'session().millrace.registry.alias.moved.v1',
        condition: text,
      };
      await triggers
        .applyTrigger({ trigger })
        .catch((error: unknown) => expect(error).toMatchObject(invalid));
      await expect(tracking.searchRuns({ parent, filter: text })).rejects.toMatchObject(invalid);
    }
    for (const cron of [
      `${'1,'.repeat(120)}1 * * * *`.slice(0, 250),
      '*/0 * * * *',
      '0 0 31 2 *',
      `${'*'.repeat(200)} * * * *`,
      'a b c d e',
    ]) {
      const schedule = {
        name: `${parent}/schedules/odd`,
        pipeline: `${parent}/pipelines/deep`,
        cron,
        paused: true,
      };
      await schedules
        .applySchedule({ schedule })
        .catch((error: unknown) =>
          expect((error as { kind: string }).kind).toMatch(/^(invalid_argument|not_found)$/),
        );
    }
    expect(performance.now() - begun).toBeLessThan(30_000);
  }, 60_000);

  it('row 27: numbers and times at their edges are kept as they are or refused by field', async () => {
    const { tracking, parent } = session().millrace;
    const { run } = await tracking.createRun({ parent, run: { experiment: `${parent}/experiments/0` } });
    const name = run?.name ?? '';
    const values = [Number.NaN, Number.POSITIVE_INFINITY, -0, 5e-324, 1.7976931348623157e308];
    const edges = [-1n, 2n ** 63n - 1n, -(2n ** 63n)];
    await tracking.logBatch({
      name,
      metrics: values.map((value, i) => ({ key: 'edge', value, step: BigInt(i) })),
    });
    await tracking.logBatch({ name, metrics: edges.map((step) => ({ key: 'steps', value: 1, step })) });
    const { points } = await tracking.getMetricHistory({ name, key: 'edge' });
    expect(points.map(({ value }) => value)).toEqual(values);
    const steps = await tracking.getMetricHistory({ name, key: 'steps' });
    expect(steps.points.map(({ step }) => step)).toEqual(edges);
    const metric = { key: 'm', value: 1 };
    for (const [field, request] of [
      ['metrics[0].timestamp_ms', { metrics: [{ ...metric, timestampMs: 2n ** 63n - 1n }] }],
      ['metrics[0].timestamp_ms', { metrics: [{ ...metric, timestampMs: -1n }] }],
      ['metrics[0].key', { metrics: [{ ...metric, key: 'k'.repeat(10_000) }] }],
      ['tags', { tags: Array.from({ length: 10_000 }, (_, i) => ({ key: `${i}`, value: '' })) }],
    ] as [
      string,
      {
        metrics?: { key: string; value: number; timestampMs?: bigint }[];
        tags?: { key: string; value: string }[];
      },
    ][])
      await expect(tracking.logBatch({ name, ...request })).rejects.toMatchObject({
        ...invalid,
        violations: [{ field }],
      });
  });
}

/** Commands of steps: rows 21 and 26. */
export function commandRows(session: () => Session): void {
  it('row 21: arguments and variables reach a command as they are, without a shell', async () => {
    const odd = [
      '$(id)',
      '; rm -rf /',
      '`id`',
      '--config=/etc/x',
      '|cat /etc/passwd',
      '*',
      '$HOME',
      "'",
      '"',
      '\\',
      'a\nb',
      '-e',
      '',
    ];
    const program = 'console.log(JSON.stringify([process.argv.slice(1), process.env.ODD]))';
    const argv = ['node', '-e', program, '--', ...odd, '${params.given}'];
    const env = [{ name: 'ODD', value: 'a\nLD_PRELOAD=/x\n$(id)' }];
    const parameters = { given: '$(id) ${params.given} --x' };
    const said = JSON.parse(
      await runCommand(session().millrace, 'argv', { argv, env, parameters }),
    ) as unknown;
    expect(said).toEqual([[...odd, parameters.given], env[0]?.value]);
  });

  it('row 26: a command that prints its secrets prints stars, and nobody else tells them', async () => {
    const secret = 'hunter2-and-more';
    const argv = [
      'node',
      '-e',
      'console.log(JSON.stringify(process.env)); console.error(process.env.PASSWORD)',
    ];
    const written = await runCommand(session().millrace, 'leaky', {
      argv,
      env: [{ name: 'PASSWORD', value: secret, secret: true }],
    });
    expect(written).toContain('"PASSWORD":"***"');
    expect(written).toContain('"MILLRACE_AUTH_TOKEN":"***"');
    const { pipelines, parent } = session().millrace;
    const { pipeline } = await pipelines.getPipeline({ name: `${parent}/pipelines/leaky` });
    const told = [
      written,
      JSON.stringify(pipeline, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    ];
    for (const context of contexts) {
      const { events } = await session().millrace.eventLog(context).listEvents({ pageSize: 1000 });
      for (const { data } of events) told.push(Buffer.from(data).toString('latin1'));
    }
    for (const name of all) told.push(...session().suite.service(name).logs);
    for (const text of told) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(session().token);
    }
  });
}
