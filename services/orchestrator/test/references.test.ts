import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { IntegrityService } from '@millrace/contracts/common';
import { OutputKind } from '@millrace/contracts/pipelines';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, tempDir } from '@millrace/testing';
import { expect, test } from 'vitest';
import { finished, js, launch, startHere } from './orchestrator.ts';

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

test('files, logs and artifacts are missed when they are gone; a digest in a text and an empty log are not', async () => {
  await using nats = await startNats();
  await using folder = tempDir();
  const at = await startHere({ DATA_DIR: folder.path, NATS_URL: nats.url });
  const transport = grpcTransport({ address: at.address });
  const integrity = createClient(IntegrityService, transport, { deadlineMs: 30_000 });
  try {
    const command = {
      files: [{ path: 'notes.txt', content: Buffer.from('a file') }],
      outputs: [{ name: 'made', path: 'made', kind: OutputKind.ARTIFACT }],
    };
    const code = `fs.writeFileSync(out + '/made', 'an artifact'); process.stdout.write('a log')`;
    const args = [digestOf('of another store')];
    const run = await finished(at, await launch(at, 'p', { steps: [js('a', code, { command, args })] }));
    expect(run.word).toBe('SUCCEEDED');
    const stored = ['a file', 'a log', 'an artifact'].map(digestOf);
    for (const digest of stored)
      rmSync(join(folder.path, 'orchestrator/blobs', digest.slice(7, 9), digest.slice(7)));
    let damages: { what: string }[] = [];
    for await (const told of integrity.verifyStorage({})) damages = told.damages;
    expect(damages.map(({ what }) => what).sort()).toEqual(stored.sort());
  } finally {
    transport.close();
    await at.stop();
  }
});
