import { closeSync, openSync, writeSync } from 'node:fs';

/** A log that masks secrets and ends at a size. Written without buffering, so that a reader sees what was written. */
export interface LogFile {
  write(chunk: Buffer): void;
  close(): void;
}

/**
 * Opens a log file, which is made when something is written to it. Secrets shorter than 4 characters are not masked: they would mask too much to be of use. A secret
 * is found also when the process writes it in pieces.
 */
export function openLog(
  path: string,
  options: { readonly secrets: readonly string[]; readonly maxBytes: number },
): LogFile {
  let file: number | undefined;
  const secrets = options.secrets
    .filter((secret) => secret.length >= 4)
    .sort((a, b) => b.length - a.length)
    .map((secret) => Buffer.from(secret));
  const held = Math.max(0, ...secrets.map((secret) => secret.length - 1));
  let pending: Buffer = Buffer.alloc(0);
  let written = 0;
  let cut = false;

  function put(bytes: Buffer): void {
    if (cut || bytes.length === 0) return;
    const room = options.maxBytes - written;
    try {
      file ??= openSync(path, 'a', 0o600);
      for (let at = 0; at < Math.min(bytes.length, room); )
        at += writeSync(file, bytes, at, Math.min(bytes.length, room) - at);
      written += bytes.length;
      if (bytes.length <= room) return;
      cut = true;
      writeSync(file, `\n[the log is cut here, at ${options.maxBytes} bytes]\n`);
    } catch {
      // A full disk ends the log, not the process that looks after all steps.
      cut = true;
    }
  }

  /** Writes what is decided, masked, and returns what could be the beginning of a secret and waits for what follows. */
  function pass(bytes: Buffer, last: boolean): Buffer {
    let rest = bytes;
    for (;;) {
      const hold = last ? rest.length : rest.length - heldBack(rest, secrets, held);
      const found = firstOf(rest, secrets);
      if (!found || (found.at >= hold && !last)) {
        put(rest.subarray(0, hold));
        return rest.subarray(hold);
      }
      put(rest.subarray(0, found.at));
      put(Buffer.from('***'));
      rest = rest.subarray(found.at + found.length);
    }
  }

  return {
    write(chunk) {
      if (secrets.length === 0) put(chunk);
      else pending = pass(Buffer.concat([pending, chunk]), false);
    },
    close() {
      pass(pending, true);
      if (file !== undefined) closeSync(file);
    },
  };
}

/** The first secret in these bytes; of several at one place the longest, since they are sorted by length. */
function firstOf(bytes: Buffer, secrets: readonly Buffer[]): { at: number; length: number } | undefined {
  let first: { at: number; length: number } | undefined;
  for (const secret of secrets) {
    const at = bytes.indexOf(secret);
    if (at >= 0 && (!first || at < first.at)) first = { at, length: secret.length };
  }
  return first;
}

/** How many bytes at the end are the beginning of a secret. */
function heldBack(bytes: Buffer, secrets: readonly Buffer[], most: number): number {
  for (let length = Math.min(most, bytes.length); length > 0; length--) {
    const tail = bytes.subarray(bytes.length - length);
    if (secrets.some((secret) => secret.length > length && secret.subarray(0, length).equals(tail)))
      return length;
  }
  return 0;
}
