import { spawn } from 'node:child_process';

/** How a command ended. */
export interface Finished {
  readonly ok: boolean;
  readonly output: string;
}

/** Runs a command without a shell and gathers its output. Never throws: what cannot start is not ok. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs: number; readonly env?: NodeJS.ProcessEnv },
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    const take = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-16_384);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** The version a nats-server binary reports, for example `2.15.2`; undefined when it does not run. */
export async function versionOf(binary: string): Promise<string | undefined> {
  const { ok, output } = await runCommand(binary, ['--version'], { timeoutMs: 10_000 });
  return ok ? /(\d+\.\d+\.\d+[^\s]*)/.exec(output)?.[1] : undefined;
}
