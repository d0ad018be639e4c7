import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { all, eventsOf, type RunningTracking, startTracking } from './tracking.ts';

let service: RunningTracking;
beforeAll(async () => {
  service = await startTracking({ MAX_ARTIFACT_BYTES: '5000000' });
});
afterAll(() => service.stop());

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function newRun(project: string): Promise<string> {
  const { run } = await service.tracking.createRun({ parent: `projects/${project}`, run: {} });
  return run?.name ?? '';
}

async function* parts(
  header: { run: string; path: string; digest?: string; requestId?: string },
  bytes: Uint8Array,
) {
  yield { part: { case: 'header' as const, value: { mediaType: 'text/plain', ...header } } };
  for (let at = 0; at < bytes.length; at += 300_000)
    yield { part: { case: 'chunk' as const, value: bytes.subarray(at, at + 300_000) } };
}

async function download(request: { parent: string; path: string; offset?: bigint; length?: bigint }) {
  const messages = await all(service.tracking.downloadArtifact(request));
  return { artifact: messages[0]?.artifact, bytes: Buffer.concat(messages.map((message) => message.chunk)) };
}

test('a file comes back as it went in, whole and in parts', async () => {
  const { tracking, log } = service;
  const run = await newRun('files');
  const bytes = randomBytes(1_500_000);
  const header = { run, path: 'model/weights.bin', digest: digestOf(bytes), requestId: 'up' };
  const { artifact } = await tracking.uploadArtifact(parts(header, bytes));
  expect(artifact).toMatchObject({ path: header.path, digest: header.digest, sizeBytes: 1_500_000n });
  expect((await tracking.uploadArtifact(parts(header, bytes))).artifact).toEqual(artifact);
  const other = tracking.uploadArtifact(parts({ ...header, digest: '' }, randomBytes(5)));
  await expect(other).rejects.toMatchObject({ code: 'REQUEST_ID_REUSED' });

  const whole = await download({ parent: run, path: header.path });
  expect(whole.bytes.equals(bytes)).toBe(true);
  expect(whole.artifact).toEqual(artifact);
  const middle = await download({ parent: run, path: header.path, offset: 1000n, length: 500_000n });
  expect(middle.bytes.equals(bytes.subarray(1000, 501_000))).toBe(true);
  const tail = await download({ parent: run, path: header.path, offset: 1_499_999n, length: 99n });
  expect(tail.bytes.equals(bytes.subarray(-1))).toBe(true);
  await expect(download({ parent: run, path: header.path, offset: 1_500_001n })).rejects.toMatchObject({
    violations: [{ field: 'offset' }],
  });

  const empty = await tracking.uploadArtifact(parts({ run, path: 'empty' }, new Uint8Array()));
  expect(empty.artifact?.sizeBytes).toBe(0n);
  expect((await download({ parent: run, path: 'empty' })).bytes).toHaveLength(0);

  await tracking.deleteArtifact({ parent: run, path: 'empty' });
  await expect(tracking.getArtifact({ parent: run, path: 'empty' })).rejects.toMatchObject({
    kind: 'not_found',
  });
  await expect(tracking.deleteArtifact({ parent: run, path: 'empty' })).rejects.toMatchObject({
    kind: 'not_found',
  });
  expect((await eventsOf(log, 'files')).slice(-3)).toEqual([
    'artifact.logged',
    'artifact.logged',
    'artifact.deleted',
  ]);
});

test('wrong digests, too many bytes and broken uploads leave nothing', async () => {
  const { tracking } = service;
  const run = await newRun('refused');
  const wrong = tracking.uploadArtifact(
    parts({ run, path: 'a', digest: digestOf(Buffer.from('x')) }, Buffer.from('y')),
  );
  await expect(wrong).rejects.toMatchObject({ kind: 'invalid_argument', code: 'DIGEST_MISMATCH' });
  const large = tracking.uploadArtifact(parts({ run, path: 'a' }, new Uint8Array(6_000_000)));
  await expect(large).rejects.toMatchObject({ code: 'TOO_LARGE' });
  const headless = tracking.uploadArtifact(
    (async function* () {
      yield { part: { case: 'chunk' as const, value: new Uint8Array(1) } };
    })(),
  );
  await expect(headless).rejects.toMatchObject({ violations: [{ field: 'header' }] });
  const nothing = tracking.uploadArtifact((async function* () {})());
  await expect(nothing).rejects.toMatchObject({ kind: 'invalid_argument' });
  const twice = tracking.uploadArtifact(
    (async function* () {
      yield { part: { case: 'header' as const, value: { run, path: 'a' } } };
      yield { part: { case: 'header' as const, value: { run, path: 'b' } } };
    })(),
  );
  await expect(twice).rejects.toMatchObject({ violations: [{ field: 'chunk' }] });
  const broken = tracking.uploadArtifact(
    (async function* () {
      yield { part: { case: 'header' as const, value: { run, path: 'a' } } };
      yield { part: { case: 'chunk' as const, value: new Uint8Array(10) } };
      throw new Error('the client broke off');
    })(),
  );
  await expect(broken).rejects.toThrow();
  expect((await tracking.listArtifacts({ parent: run })).entries).toEqual([]);
  for (const path of ['../x', '/abs', 'a//b', 'a/./b', 'a/..', '', 'a\u0000b'])
    await expect(tracking.uploadArtifact(parts({ run, path }, new Uint8Array(1)))).rejects.toMatchObject({
      kind: 'invalid_argument',
    });
});

test('listing shows a tree, whatever the paths', async () => {
  const { tracking } = service;
  const segment = fc.constantFrom('a', 'b', 'a-b', 'a0', 'ü', '%', '💥');
  const paths = fc.uniqueArray(
    fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/')),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(paths, fc.integer({ min: 1, max: 4 }), async (files, pageSize) => {
      const run = await newRun('tree');
      await Promise.all(
        files.map((path) => tracking.uploadArtifact(parts({ run, path }, Buffer.from(path)))),
      );
      const list = async (folder: string, recursive = false) => {
        const found: string[] = [];
        let pageToken = '';
        do {
          const page = await tracking.listArtifacts({ parent: run, folder, recursive, pageSize, pageToken });
          expect(page.entries.length).toBeLessThanOrEqual(pageSize);
          found.push(...page.entries.map((entry) => `${entry.kind.case}:${entry.path}`));
          pageToken = page.nextPageToken;
        } while (pageToken);
        return found;
      };
      for (const folder of ['', 'a', 'a/b']) {
        const prefix = folder ? `${folder}/` : '';
        const below = files
          .filter((path) => path.startsWith(prefix))
          .map((path) => path.slice(prefix.length));
        const expected = new Set(
          below.map((path) => {
            const [first, ...rest] = path.split('/');
            return `${rest.length > 0 ? 'folder' : 'file'}:${prefix}${first}`;
          }),
        );
        expect((await list(folder)).sort()).toEqual([...expected].sort());
        expect((await list(folder, true)).sort()).toEqual(
          below.map((path) => `file:${prefix}${path}`).sort(),
        );
      }
    }),
    { numRuns: 15 },
  );
}, 60_000);
