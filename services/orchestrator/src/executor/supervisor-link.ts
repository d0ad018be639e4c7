import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { unavailable } from '@millrace/errors';
import { type FromSupervisor, lineReader, type ToSupervisor } from './protocol.ts';

/** The connection to the supervisor of a folder; starts one where none answers. */
export interface SupervisorLink {
  /** Sends; connects, and starts a supervisor, as needed. */
  send(message: ToSupervisor): Promise<void>;
  /** Sends only when a supervisor is there already. */
  sendIfThere(message: ToSupervisor): Promise<boolean>;
  /** Lets go without stopping anything. */
  close(): void;
}

export interface LinkOptions {
  readonly folder: string;
  readonly orphanGraceMs: number;
  onMessage(message: FromSupervisor): void;
  /** The supervisor went away, and what it looked after with it. */
  onLost(): void;
}

/** How long a new supervisor may take until it answers. */
const startMs = 10_000;

export function createSupervisorLink(options: LinkOptions): SupervisorLink {
  const path = socketPath(options.folder);
  let socket: Promise<Socket> | undefined;
  let finding: Promise<Socket | undefined> | undefined;
  let closed = false;

  function adopt(made: Socket): Socket {
    made.on('close', () => {
      socket = undefined;
      if (!closed) options.onLost();
    });
    return made;
  }

  async function open(): Promise<Socket> {
    const there = await tryConnect(path, options.onMessage);
    if (there) return adopt(there);
    // A socket nobody listens on is what a supervisor that was killed left behind.
    if (process.platform !== 'win32') rmSync(path, { force: true });
    const program = fileURLToPath(new URL('./supervisor.ts', import.meta.url));
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', program, path, String(options.orphanGraceMs)],
      {
        detached: true,
        stdio: 'ignore',
        env: { PATH: process.env.PATH ?? '' },
      },
    );
    child.unref();
    const until = Date.now() + startMs;
    while (Date.now() < until) {
      const made = await tryConnect(path, options.onMessage);
      if (made) return adopt(made);
      await sleep(5);
    }
    throw unavailable('the supervisor of step processes');
  }

  const opened = () => {
    socket ??= open().catch((error: unknown) => {
      socket = undefined;
      throw error;
    });
    return socket;
  };
  /** Many ask at the same time after a restart; there is one connection all the same. */
  const found = () => {
    finding ??= tryConnect(path, options.onMessage)
      .then((there) => {
        if (there && socket) there.destroy();
        else if (there) socket = Promise.resolve(adopt(there));
        return socket;
      })
      .finally(() => {
        finding = undefined;
      });
    return finding;
  };
  return {
    async send(message) {
      (await opened()).write(`${JSON.stringify(message)}\n`);
    },
    async sendIfThere(message) {
      const made = await (socket ?? found());
      made?.write(`${JSON.stringify(message)}\n`);
      return made !== undefined;
    },
    close() {
      closed = true;
      void socket?.then((made) => made.destroy());
      if (isPrivateFolder(path)) rmSync(dirname(path), { recursive: true, force: true });
    },
  };
}

/**
 * Connects, and waits for the supervisor's first word: the socket of one that was just killed takes connections for
 * a moment more, and what is sent to it would be lost.
 */
function tryConnect(path: string, onMessage: LinkOptions['onMessage']): Promise<Socket | undefined> {
  return new Promise((settle) => {
    const socket = connect(path);
    const read = lineReader((line) => {
      const message = line as FromSupervisor;
      if (message.say === 'ready') settle(socket);
      else onMessage(message);
    });
    socket.on('data', read);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => settle(undefined));
  });
}

/** Paths of sockets are at most about 100 bytes long; a deep folder gets a private short one, remembered in a file. */
function socketPath(folder: string): string {
  const own = resolve(folder, 'supervisor.sock');
  if (process.platform === 'win32')
    return `\\\\.\\pipe\\millrace-${createHash('sha256').update(own).digest('hex').slice(0, 24)}`;
  if (Buffer.byteLength(own) < 100) return own;
  const note = join(folder, 'socket-folder');
  const known = existsSync(note) ? readFileSync(note, 'utf8') : '';
  if (known && existsSync(known)) return join(known, 's');
  const made = mkdtempSync(join(tmpdir(), 'millrace-'));
  writeFileSync(note, made);
  return join(made, 's');
}

/** Whether the socket has a temporary folder of its own. */
const isPrivateFolder = (path: string): boolean => basename(path) === 's';
