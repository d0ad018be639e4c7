import { existsSync } from 'node:fs';
import { chmod, copyFile, constants as fs, mkdir, open, readdir, rm } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { BlobStore, Digest } from '@millrace/blobs';
import { type ExitRecord, hasRecord, readRecord } from './attempt-record.ts';
import { collectOutputs } from './collect.ts';
import { type Executor, type Exit, emptyLog, type Recall, type Work } from './executor.ts';
import { readFile, sizeOf } from './left-files.ts';
import { isAlive, killWhere, signalGroup } from './process-identity.ts';
import { createSupervisorLink } from './supervisor-link.ts';

export interface ProcessExecutorOptions {
  /** Where attempts have their folders; the executor's own. */
  readonly folder: string;
  readonly blobs: BlobStore;
  /** How long steps go on without an orchestrator. @default 60000 */
  readonly orphanGraceMs?: number;
  /** @default 16 MiB for each stream */
  readonly maxLogBytes?: number;
  /** @default 16 GiB for each artifact */
  readonly maxOutputBytes?: number;
  /** Variables of this process that steps get too. @default none */
  readonly passEnv?: readonly string[];
  /** @default the machine's processors and memory */
  readonly capacity?: { readonly cpu: number; readonly memoryBytes: number };
  /** How long steps may take to end when the executor closes. @default 3000 */
  readonly closeGraceMs?: number;
}

/** Runs work as processes of this machine, each in a group and a folder of its own, without a shell. */
export function createProcessExecutor(options: ProcessExecutorOptions): Executor {
  const { blobs } = options;
  const root = resolve(options.folder);
  const folderOf = (id: string) => join(root, 'attempts', id);
  const observed = new Set<string>();
  const starting = new Map<string, () => void>();
  let listener: (id: string, exit: Exit) => void = () => {};
  let listed: ((ids: readonly string[]) => void)[] = [];
  let closing = false;

  const link = createSupervisorLink({
    folder: root,
    orphanGraceMs: options.orphanGraceMs ?? 60_000,
    onMessage(message) {
      if (message.say === 'started') starting.get(message.id)?.();
      else if (message.say === 'exited') ended(message.id, exitOf(message.exit));
      else if (message.say === 'running') for (const tell of listed.splice(0)) tell(message.ids);
    },
    onLost() {
      for (const tell of listed.splice(0)) tell([]);
      // Ends that were recorded before it went are known; processes that lost their supervisor are not let run on.
      for (const id of [...observed]) ended(id, orphanOf(folderOf(id)));
    },
  });

  function ended(id: string, exit: Exit): void {
    // What ends because the executor closes is found, and made up for, by the next one.
    if (closing || !observed.delete(id)) return;
    starting.get(id)?.();
    listener(id, exit);
  }

  async function runningIds(): Promise<ReadonlySet<string>> {
    const { promise, resolve: settle } = Promise.withResolvers<readonly string[]>();
    listed.push(settle);
    if (await link.sendIfThere({ do: 'list' })) return new Set(await promise);
    listed = listed.filter((waiting) => waiting !== settle);
    return new Set();
  }

  /** The end of what this process is starting right now is not known before it has started. */
  const beginning = new Map<string, Promise<void>>();

  async function begin(work: Work): Promise<void> {
    const folder = folderOf(work.id);
    // Another process of this machine may have started it while this one was frozen; the supervisor knows.
    if (!hasRecord(folder)) await prepare(folder, work, blobs);
    const started = new Promise<void>((settle) => starting.set(work.id, settle));
    observed.add(work.id);
    try {
      await link.send({
        do: 'start',
        id: work.id,
        folder,
        argv: work.argv,
        env: environment(folder, work, options.passEnv ?? []),
        secrets: work.env.filter((e) => e.secret).map((e) => e.value),
        maxLogBytes: options.maxLogBytes ?? 16 << 20,
      });
      await started;
    } catch (error) {
      observed.delete(work.id);
      throw error;
    } finally {
      starting.delete(work.id);
    }
  }

  return {
    capacity: options.capacity ?? { cpu: availableParallelism(), memoryBytes: totalmem() },

    start(work) {
      const begun = begin(work).finally(() => beginning.delete(work.id));
      beginning.set(work.id, begun);
      return begun;
    },

    onExit(tell) {
      listener = tell;
    },

    async recall(id): Promise<Recall> {
      await beginning.get(id)?.catch(() => {});
      const folder = folderOf(id);
      // Observed first: an end that comes between the look at the list and the answer must be told.
      observed.add(id);
      if ((await runningIds()).has(id)) return { kind: 'running' };
      observed.delete(id);
      return hasRecord(folder) ? orphanOf(folder) : { kind: 'unknown' };
    },

    async stop(id, graceMs) {
      await link.sendIfThere({ do: 'stop', id, graceMs });
    },

    collect: (id, outputs) =>
      collectOutputs(join(folderOf(id), 'outputs'), outputs, blobs, options.maxOutputBytes ?? 16 * 2 ** 30),

    async keepLogs(id) {
      const keep = async (name: string) => {
        const path = join(folderOf(id), `${name}.log`);
        // Whoever reads a blob that is not there gets no bytes, which is what most steps write.
        return (await sizeOf(path)) === 0 ? emptyLog : (await blobs.put(readFile(path))).digest;
      };
      const [stdout, stderr] = await Promise.all([keep('stdout'), keep('stderr')]);
      return { stdout, stderr };
    },

    async readLog(id, stream, offset, maxBytes) {
      try {
        await using file = await open(join(folderOf(id), `${stream}.log`), 'r');
        const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, offset);
        return buffer.subarray(0, bytesRead);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array();
        throw error;
      }
    },

    async discard(id) {
      await rm(folderOf(id), { recursive: true, force: true, maxRetries: 3 });
    },

    async sweep(keep) {
      const all = await readdir(join(root, 'attempts')).catch(() => []);
      const running = await runningIds();
      for (const id of all)
        if (!running.has(id) && !(await keep(id))) await rm(folderOf(id), { recursive: true, force: true });
      // Work that is in no record any more has nobody to wait for it.
      for (const id of running)
        if (!(await keep(id))) await link.sendIfThere({ do: 'stop', id, graceMs: 1000 });
    },

    async close() {
      closing = true;
      const graceMs = options.closeGraceMs ?? 3000;
      if (await link.sendIfThere({ do: 'shutdown', graceMs })) await gone(link, graceMs + 2000);
      link.close();
    },
  };
}

/** Waits until no supervisor answers any more. */
async function gone(
  link: { sendIfThere(message: { do: 'list' }): Promise<boolean> },
  mostMs: number,
): Promise<void> {
  const until = Date.now() + mostMs;
  while (Date.now() < until) {
    if (!(await link.sendIfThere({ do: 'list' }).catch(() => false))) return;
    await new Promise((settle) => setTimeout(settle, 10));
  }
}

/** What can be said of a process without a supervisor: its recorded end, or that it is lost, after all of it was killed. */
function orphanOf(folder: string): Exit {
  const { exit, process: known } = readRecord(folder) ?? {};
  if (exit) return exitOf(exit);
  if (known && isAlive(known)) signalGroup(known.pid, 'SIGKILL');
  // The supervisor may have been killed between the start and its record, and a step's first process may have ended
  // before those that it started.
  killWhere(`MILLRACE_WORK=${join(folder, 'work')}`);
  return { kind: 'lost', reason: 'the supervisor of its process went away' };
}

function exitOf(record: ExitRecord): Exit {
  if (record.refused !== undefined) return { kind: 'refused', reason: record.refused };
  if (record.interrupted !== undefined) return { kind: 'lost', reason: record.interrupted };
  if (record.signal !== null) return { kind: 'signalled', signal: record.signal };
  return { kind: 'exited', code: record.code ?? -1, ...(record.stopped ? { stopped: true } : {}) };
}

async function prepare(folder: string, work: Work, blobs: BlobStore): Promise<void> {
  // An attempt that was prepared but never started is prepared anew.
  if (existsSync(folder)) await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await Promise.all(['work', 'inputs', 'outputs', 'tmp'].map((name) => mkdir(join(folder, name))));
  const put = async (path: string, digest: string, mode: number) => {
    await mkdir(dirname(path), { recursive: true });
    await copyFile(await blobs.localPath(digest as Digest), path, fs.COPYFILE_FICLONE);
    await chmod(path, mode);
  };
  for (const file of work.files)
    await put(join(folder, 'work', file.path), file.digest, file.executable ? 0o700 : 0o600);
  for (const input of work.inputs) await put(join(folder, 'inputs', input.path), input.digest, 0o400);
}

/** The whole environment of a step. The Node that runs this service is the first on the PATH. */
function environment(folder: string, work: Work, passEnv: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {
    PATH: [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter),
    HOME: join(folder, 'work'),
    TMPDIR: join(folder, 'tmp'),
    LANG: process.env.LANG ?? 'C.UTF-8',
    TZ: process.env.TZ ?? 'UTC',
  };
  for (const name of passEnv) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  for (const { name, value } of work.env) env[name] = value;
  env.MILLRACE_WORK = join(folder, 'work');
  env.MILLRACE_INPUTS = join(folder, 'inputs');
  env.MILLRACE_OUTPUTS = join(folder, 'outputs');
  return env;
}
