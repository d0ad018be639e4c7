import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { endpointsFile as sdkEndpointsFile } from '@millrace/sdk';
import { tempDir } from '@millrace/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { endpointsFile } from '../src/suite/endpoints-file.ts';
import { lockFile, lockOwner, takeLock } from '../src/suite/lock.ts';
import { choosePorts, freePort } from '../src/suite/ports.ts';

const folder = tempDir('millrace-lock-');
afterEach(() => folder.remove());

describe('the lock of a data folder', () => {
  it('refuses a second one and names the first', () => {
    const release = takeLock(folder.path);
    expect(() => takeLock(folder.path)).toThrow(
      new RegExp(`process ${process.pid} already runs a suite on .*--data-dir`),
    );
    expect(lockOwner(folder.path)).toBe(process.pid);
    release();
    expect(lockOwner(folder.path)).toBeUndefined();
    takeLock(folder.path)();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('takes over from a process that is gone, also when its id was given anew', () => {
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    takeLock(folder.path)();
    for (const owner of [{ pid: gone }, { pid: process.pid, started: '1' }, 'no lock of ours']) {
      writeFileSync(join(folder.path, lockFile), JSON.stringify(owner));
      expect(lockOwner(folder.path)).toBeUndefined();
      takeLock(folder.path)();
    }
    expect(existsSync(join(folder.path, lockFile))).toBe(false);
  });
});

describe('ports', () => {
  it('takes others for those that are taken, and says so', async () => {
    const base = await freePort();
    const server = createServer().listen(base, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    const { ports, notes } = await choosePorts([{ name: 'tracking', portOffset: 0 }], base);
    server.close();
    expect(ports[0]).not.toBe(base);
    expect(notes).toEqual([`port ${base} is taken; tracking listens on ${ports[0]}`]);
  });

  it('refuses a base without room', async () => {
    await expect(choosePorts([{ name: 'a', portOffset: 5 }], 65_533)).rejects.toThrow(/from 1 to 65530/);
  });
});

it('writes the file that the SDK looks for', () => {
  expect(endpointsFile).toBe(sdkEndpointsFile);
});
