import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SourceFormat } from '@millrace/contracts/features';
import { ModelVersionState } from '@millrace/contracts/registry';
import { describe, expect, it } from 'vitest';
import { altered, examined, withExternalData } from './models.ts';
import { invalid, type Session } from './session.ts';

const hostilePaths = [
  '../x',
  'a/../../x',
  '..',
  '.',
  './x',
  '/etc/passwd',
  'a//b',
  'a/',
  '..\\x',
  'a\\..\\..\\x',
  'a\0',
  '',
];

/** Paths and files: rows 1, 2, 3, 8, 9 and 10. */
export function fileRows(session: () => Session): void {
  it('row 1: a source names files below its folders, and nothing else', async () => {
    const { features, parent } = session().millrace;
    const paths = [
      ...hostilePaths,
      'file:///etc/passwd',
      's3://b/../../x.csv',
      'http://169.254.169.254/x.csv',
      'runs:/id/../../..',
      '%2e%2e/x.csv',
      '/proc/self/environ',
      '/dev/zero',
      '/etc/*',
      '~/x.csv',
      `${session().folder}/../x.csv`,
    ];
    for (const value of paths) {
      const name = `${parent}/sources/evil`;
      const applied = features.applySource({
        source: { name, location: { case: 'path', value }, format: SourceFormat.CSV },
      });
      const error = (await applied.then(
        () => undefined,
        (caught: unknown) => caught,
      )) as Error;
      expect(error, value).toMatchObject(invalid);
      expect(error.message).not.toContain(session().folder);
    }
    const { registry } = session().millrace;
    await expect(
      registry.createModelVersion({
        parent: `${parent}/models/heat`,
        digest: `sha256:${'0'.repeat(64)}`,
        modelVersion: { sourceRun: 'runs:/id/../../..' },
      }),
    ).rejects.toMatchObject(invalid);
  });

  describe('rows 2 and 3: artifact paths', () => {
    const newRun = async () => {
      const { run } = await session().millrace.tracking.createRun({
        parent: session().millrace.parent,
        run: { experiment: `${session().millrace.parent}/experiments/0` },
      });
      return run?.name ?? '';
    };
    const upload = (run: string, path: string) =>
      session().millrace.tracking.uploadArtifact(
        (async function* () {
          yield { part: { case: 'header', value: { run, path } } } as const;
          yield { part: { case: 'chunk', value: Buffer.from(path) } } as const;
        })(),
      );

    it('that lead elsewhere are refused by every RPC, and those that only look so are names', async () => {
      const { tracking } = session().millrace;
      const run = await newRun();
      for (const path of hostilePaths) {
        await expect(upload(run, path), path).rejects.toMatchObject(invalid);
        await expect(tracking.getArtifact({ parent: run, path })).rejects.toMatchObject(invalid);
        await expect(tracking.deleteArtifact({ parent: run, path })).rejects.toMatchObject(invalid);
        if (path !== '')
          await expect(tracking.listArtifacts({ parent: run, folder: path })).rejects.toMatchObject(invalid);
      }
      const odd = [
        '%2e%2e/x',
        '%252e%252e%252fetc',
        'a#/..b',
        'a;/x',
        '...',
        '__proto__/constructor',
        'C:x',
        ' ',
      ];
      for (const path of odd) await upload(run, path);
      const { entries } = await tracking.listArtifacts({ parent: run, recursive: true });
      expect(entries.map(({ path }) => path).toSorted()).toEqual(odd.toSorted());
    });

    it('delete what they name, and nothing beside it', async () => {
      const [one, other] = [await newRun(), await newRun()];
      for (const run of [one, other]) for (const path of ['a/b', 'a/b2', 'a%2Fb']) await upload(run, path);
      await session().millrace.tracking.deleteArtifact({ parent: one, path: 'a/b' });
      await expect(
        session().millrace.tracking.deleteArtifact({ parent: one, path: 'a' }),
      ).rejects.toMatchObject({
        kind: 'not_found',
      });
      const left = async (parent: string) =>
        (await session().millrace.tracking.listArtifacts({ parent, recursive: true })).entries.map(
          ({ path }) => path,
        );
      expect(await left(one)).toEqual(['a%2Fb', 'a/b2']);
      expect(await left(other)).toEqual(['a%2Fb', 'a/b', 'a/b2']);
    });
  });

  describe('rows 8, 9 and 10: model files', () => {
    const rejected = async (bytes: Uint8Array) => {
      const model = `${session().millrace.parent}/models/evil`;
      await session()
        .millrace.registry.createModel({ parent: session().millrace.parent, modelId: 'evil', model: {} })
        .catch(() => undefined);
      const { state, stateReasons } = await examined(session().millrace, model, bytes);
      expect(stateReasons.join()).not.toMatch(/\/tmp|node_modules/);
      return { state, reasons: stateReasons.join() };
    };
    const state = ModelVersionState.REJECTED;

    it.each(['weights.bin', '../../../etc/passwd', '/etc/passwd', 'junk/../../secret', 'C:\\x', 'a\0b'])(
      'row 8: ONNX external data at %j is rejected with the reason',
      async (location) => {
        const found = await rejected(withExternalData(location));
        expect(found).toEqual({ state, reasons: expect.stringContaining('in another file') });
      },
    );

    it('row 9: a pickle that is called a model is told by its bytes, and nothing of it is run', async () => {
      const canary = join(session().folder, 'canary');
      const pickle = Buffer.from(`cos\nsystem\n(S'touch ${canary}'\ntR.`);
      expect(await rejected(pickle)).toEqual({ state, reasons: expect.stringContaining('pickle') });
      expect(await rejected(gzipSync(pickle))).toMatchObject({ state });
      expect(existsSync(canary)).toBe(false);
    });

    it('row 10: operators of others are rejected, and what a model says of code is a text', async () => {
      const evil = altered((model) => {
        model.graph!.node[0]!.domain = 'evil.ops';
        model.opsetImport.push({ $typeName: 'onnx.OperatorSetIdProto', domain: 'evil.ops', version: 1n });
      });
      expect(await rejected(evil)).toMatchObject({ state });
      const said = altered((model) => {
        for (const key of ['trust_remote_code', 'model_file', '__proto__'])
          model.metadataProps.push({ $typeName: 'onnx.StringStringEntryProto', key, value: 'evil.py' });
      });
      expect(await rejected(said)).toMatchObject({ state: ModelVersionState.READY });
    });
  });
}
