import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TrackingService } from '@millrace/contracts/tracking';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, tempDir } from '@millrace/testing';
import { atLeastOfFloor, type Row } from '../row.ts';

const chunk = randomBytes(1024 * 1024);
const chunks = 1024;
const mib = (seconds: number) => chunks / seconds;

function memoryOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const artifacts: Row = {
  name: 'artifacts',
  title: 'artifact of 1 GiB up (durable) and down (verified)',
  floor: 'file copy with SHA-256 and fsync; reading it with SHA-256',
  rounds: 3,
  aims: [atLeastOfFloor('up MiB/s', 0.7), atLeastOfFloor('down MiB/s', 0.7)],
  explanation:
    'in a profile with 256 MiB, on a machine with other work, 29 % of the service’s busy time was collecting the buffers of messages, 16 % SHA-256 and 13 % copying chunks into messages; the process of client and floor spent 46 % of its own on collecting.',
  async open() {
    const folder = tempDir('millrace-bench-');
    const nats = await startNats();
    const service = await startService('tracking', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
    const transport = grpcTransport({ address: service.address });
    const tracking = createClient(TrackingService, transport, { deadlineMs: 300_000 });
    const { run } = await tracking.createRun({ parent: 'projects/default', run: {} });
    const source = join(folder.path, 'source');
    const target = join(folder.path, 'target');
    await pipeline(ofChunks(), createWriteStream(source));
    return {
      async ours() {
        const path = 'large.bin';
        async function* parts() {
          yield { part: { case: 'header' as const, value: { run: run!.name, path } } };
          for (let n = 0; n < chunks; n++) yield { part: { case: 'chunk' as const, value: chunk } };
        }
        let begun = performance.now();
        await tracking.uploadArtifact(parts());
        const up = (performance.now() - begun) / 1000;
        begun = performance.now();
        let bytes = 0;
        for await (const message of tracking.downloadArtifact({ parent: run!.name, path }))
          bytes += message.chunk.length;
        const down = (performance.now() - begun) / 1000;
        if (bytes !== chunks * chunk.length) throw new Error(`${bytes} bytes came back`);
        await tracking.deleteArtifact({ parent: run!.name, path });
        return { 'up MiB/s': mib(up), 'down MiB/s': mib(down), 'peak MiB': memoryOf(service.pid) };
      },
      async floor() {
        let begun = performance.now();
        const hash = createHash('sha256');
        const file = await open(target, 'w');
        for await (const part of createReadStream(source, { highWaterMark: chunk.length })) {
          hash.update(part);
          await file.write(part);
        }
        await file.sync();
        await file.close();
        hash.digest();
        const up = (performance.now() - begun) / 1000;
        begun = performance.now();
        const again = createHash('sha256');
        for await (const part of createReadStream(target, { highWaterMark: chunk.length }))
          again.update(part);
        again.digest();
        return { 'up MiB/s': mib(up), 'down MiB/s': mib((performance.now() - begun) / 1000) };
      },
      async close() {
        transport.close();
        await service.stop();
        await nats.stop();
        await folder.remove();
      },
    };
  },
};

async function* ofChunks() {
  for (let n = 0; n < chunks; n++) yield chunk;
}

export const rows: readonly Row[] = [artifacts];
