/**
 * The parent of all step processes on a machine. It outlives an orchestrator that is killed, so that steps go on and
 * their exit codes are recorded; the next orchestrator connects to it again. When none comes it stops the steps and ends.
 *
 * `node supervisor.ts SOCKET ORPHAN_GRACE_MS`
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { beginRecord, type ExitRecord, hasRecord, type RecordFile, readRecord } from './attempt-record.ts';
import { openLog } from './log-file.ts';
import { signalGroup, startOf } from './process-identity.ts';
import { type FromSupervisor, lineReader, type ToSupervisor } from './protocol.ts';

const streams = ['stdout', 'stderr'] as const;

interface Running {
  readonly child: ChildProcess;
  stopping: boolean;
  interrupted?: string;
}

const [socketPath = '', orphanGrace = '60000'] = process.argv.slice(2);
const running = new Map<string, Running>();
// More than one only while an orchestrator that was frozen meets the one that took over; their fences sort them out.
const orchestrators = new Set<Socket>();
let orphanTimer: NodeJS.Timeout | undefined;
let ending = false;

const server = createServer((socket) => {
  clearTimeout(orphanTimer);
  orchestrators.add(socket);
  tell(socket, { say: 'ready' });
  socket.on(
    'data',
    lineReader((line) => handle(line as ToSupervisor)),
  );
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    orchestrators.delete(socket);
    if (orchestrators.size === 0) alone();
  });
});
server.on('error', () => process.exit(1));
server.listen(socketPath, () => alone());

/** No orchestrator is connected: ends at once when nothing runs, else waits for the next one for a while. */
function alone(): void {
  clearTimeout(orphanTimer);
  orphanTimer = setTimeout(
    () => end('no orchestrator came back in time', 5000),
    running.size === 0 ? Math.min(5000, Number(orphanGrace)) : Number(orphanGrace),
  );
}

function say(message: FromSupervisor): void {
  for (const socket of orchestrators) if (socket.writable) tell(socket, message);
}

function tell(socket: Socket, message: FromSupervisor): void {
  socket.write(`${JSON.stringify(message)}\n`);
}

function handle(message: ToSupervisor): void {
  switch (message.do) {
    case 'start':
      start(message);
      return;
    case 'stop':
      stop(message.id, message.graceMs);
      return;
    case 'list':
      say({ say: 'running', ids: [...running.keys()] });
      return;
    case 'shutdown':
      end('the orchestrator was stopped', message.graceMs);
      return;
  }
}

function start({
  id,
  folder,
  argv,
  env,
  secrets,
  maxLogBytes,
}: Extract<ToSupervisor, { do: 'start' }>): void {
  // Sent before the sender heard that everything stops: never started, so that the next supervisor can do it.
  if (ending) return;
  const known = running.get(id);
  if (known) {
    say({ say: 'started', id, pid: known.child.pid ?? 0 });
    return;
  }
  if (hasRecord(folder)) {
    // Asked for twice, this time late: it is not started again, and what became of it is told.
    const exit = readRecord(folder)?.exit;
    const gone = { code: null, signal: null, interrupted: 'the supervisor of its process went away' };
    say({ say: 'exited', id, exit: exit ?? gone });
    return;
  }
  const [program = '', ...args] = argv;
  const logs = streams.map((name) =>
    openLog(join(folder, `${name}.log`), { secrets, maxBytes: maxLogBytes }),
  );
  let begun: RecordFile | undefined;
  let child: ChildProcess;
  try {
    begun = beginRecord(folder);
    child = spawn(program, args, {
      cwd: join(folder, 'work'),
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const exit = { code: null, signal: null, refused: (error as Error).message };
    begun?.add({ exit });
    begun?.close();
    say({ say: 'exited', id, exit });
    return;
  }
  const record = begun;
  const entry: Running = { child, stopping: false };
  running.set(id, entry);
  for (const [i, name] of streams.entries())
    child[name]?.on('data', (chunk: Buffer) => logs[i]?.write(chunk));
  let recorded = false;
  const finish = (exit: ExitRecord) => {
    if (recorded) return;
    recorded = true;
    for (const log of logs) log.close();
    running.delete(id);
    const { stopping, interrupted } = entry;
    const whole: ExitRecord = {
      ...exit,
      ...(stopping ? { stopped: true } : {}),
      ...(interrupted === undefined ? {} : { interrupted }),
    };
    record.add({ exit: whole });
    record.close();
    say({ say: 'exited', id, exit: whole });
    if (running.size === 0 && ending) process.exit(0);
  };
  child.on('spawn', () => {
    const pid = child.pid ?? 0;
    record.add({ process: { pid, start: startOf(pid) ?? 'ended' } });
    say({ say: 'started', id, pid });
  });
  child.on('error', (error) => {
    if (child.pid === undefined) finish({ code: null, signal: null, refused: error.message });
  });
  child.on('exit', (code, signal) => {
    // Whatever the step left behind in its group goes with it. A pipe held by one that left the group is not waited for.
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
    const hurry = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      finish({ code, signal });
    }, 2000);
    child.on('close', () => {
      clearTimeout(hurry);
      finish({ code, signal });
    });
  });
}

function stop(id: string, graceMs: number): void {
  const entry = running.get(id);
  const pid = entry?.child.pid;
  if (!entry || pid === undefined || entry.stopping) return;
  entry.stopping = true;
  signalGroup(pid, 'SIGTERM');
  setTimeout(() => {
    if (running.get(id) === entry) signalGroup(pid, 'SIGKILL');
  }, graceMs).unref();
}

/** Stops everything and ends when all processes did. */
function end(why: string, graceMs: number): void {
  ending = true;
  // A new orchestrator must not hand its steps to a supervisor that goes; this also removes the socket.
  server.close();
  for (const [id, entry] of running) {
    entry.interrupted = why;
    stop(id, graceMs);
  }
  if (running.size === 0) process.exit(0);
  setInterval(() => {
    for (const { child } of running.values()) if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
  }, graceMs + 500);
}

// Ctrl-C and the end of a session are the orchestrator's business; it says so when steps are to stop.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('SIGTERM', () => end('the supervisor was stopped', 5000));
