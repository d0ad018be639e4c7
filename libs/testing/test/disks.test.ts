import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import {
  missingDisk,
  missingSmallDisk,
  missingStrace,
  spoilSync,
  startDisk,
  startSmallDisk,
  tempDir,
  until,
} from '../src/index.ts';

// Where the machine does not permit these, the reason stands in the names of the skipped tests.
const because = (reason: string | undefined) => (reason ? ` (not here: ${reason})` : '');
const [noDisk, noSmallDisk, noStrace] = await Promise.all([
  missingDisk(),
  missingSmallDisk(),
  missingStrace(),
]);

const mounts = () => readFileSync('/proc/mounts', 'utf8');

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'w');
  await file.write(text);
  await file.sync();
}

test.skipIf(noDisk)(`a power cut keeps what was synced and takes the rest${because(noDisk)}`, async () => {
  await using disk = await startDisk(16);
  await writeSynced(join(disk.path, 'synced'), 'kept');
  await writeFile(join(disk.path, 'written'), 'lost');
  await using after = await disk.cut();
  expect(await readFile(join(after.path, 'synced'), 'utf8')).toBe('kept');
  expect(existsSync(join(after.path, 'written'))).toBe(false);
  expect(existsSync(disk.path)).toBe(false);
  await after.remove();
  expect(mounts()).not.toContain(after.path);
});

test.skipIf(noSmallDisk)(`a small disk fills and frees${because(noSmallDisk)}`, async () => {
  await using disk = await startSmallDisk(2);
  const file = join(disk.path, 'file');
  await disk.fill();
  await expect(writeFile(file, Buffer.alloc(100_000))).rejects.toMatchObject({ code: 'ENOSPC' });
  await disk.free();
  await writeFile(file, Buffer.alloc(100_000));
  await disk.fill(50_000);
  expect(await disk.freeBytes()).toBeGreaterThan(40_000);
  await expect(writeFile(join(disk.path, 'more'), Buffer.alloc(100_000))).rejects.toThrow(/ENOSPC/);
});

test.skipIf(noSmallDisk)(`no mount outlives a process that was killed${because(noSmallDisk)}`, async () => {
  const program = `
    import { startSmallDisk } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
    console.log((await startSmallDisk(1)).path);
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const path = await new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once('line', resolve),
  );
  expect(existsSync(path)).toBe(true);
  child.kill('SIGKILL');
  await until(() => !existsSync(path), { what: 'the end of the mount' });
});

test.skipIf(noStrace)(`fsync fails while it is spoiled${because(noStrace)}`, async () => {
  await using folder = tempDir();
  const program = `
    import { open } from 'node:fs/promises';
    const file = await open(${JSON.stringify(join(folder.path, 'file'))}, 'w');
    setInterval(() => file.sync().then(() => console.log('ok'), (error) => console.log(error.code)), 20);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
  try {
    await until(() => said.includes('ok'));
    const fault = await spoilSync(child.pid!, 'fails');
    await until(() => said.at(-1) === 'EIO');
    await fault.stop();
    await until(() => said.at(-1) === 'ok');
  } finally {
    child.kill('SIGKILL');
  }
});
