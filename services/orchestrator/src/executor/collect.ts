import { lstat, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { BlobStore } from '@millrace/blobs';
import { isCoded } from '@millrace/errors';
import { type Json, nestingProblem } from '../domain/json.ts';
import { limits, type Output } from '../domain/spec.ts';
import type { TaskOutput } from '../domain/task.ts';
import type { Collected } from './executor.ts';
import { readFile, unreadable } from './left-files.ts';

/**
 * Stores what a command left in its outputs folder. Links are refused: they could lead out of it. Throws
 * LEFT_FILE_UNREADABLE when a file is there and its disk does not give it.
 */
export async function collectOutputs(
  folder: string,
  declared: readonly Output[],
  blobs: BlobStore,
  maxBytes: number,
): Promise<Collected> {
  if (declared.length === 0) return { outputs: [] };
  const outputs: TaskOutput[] = [];
  const root = await realpath(folder);
  let left: number = limits.outputBytes;
  for (const output of declared) {
    const path = join(root, output.path);
    const found = await lstat(path).catch((error: NodeJS.ErrnoException) =>
      error.code === 'EIO' ? unreadable(error) : undefined,
    );
    if (!found) {
      if (output.optional) continue;
      return {
        outputs: [],
        problem: `output ${output.name} is missing: the command wrote no file ${output.path}`,
      };
    }
    const real = await realpath(path).catch(unreadable);
    if (!found.isFile() || found.nlink > 1 || !(real === path || real.startsWith(root + sep)))
      return { outputs: [], problem: `output ${output.name} is no regular file: ${output.path}` };
    if (output.kind === 'artifact') {
      try {
        const { digest, sizeBytes } = await blobs.put(readFile(path), { maxBytes });
        outputs.push({
          name: output.name,
          kind: 'artifact',
          digest,
          sizeBytes,
          path: output.path,
          artifactType: output.artifactType,
        });
      } catch (error) {
        if (!isCoded(error, 'TOO_LARGE')) throw error;
        return { outputs: [], problem: `output ${output.name} is larger than ${maxBytes} bytes` };
      }
      continue;
    }
    const most = output.kind === 'text' ? limits.textOutputBytes : limits.jsonOutputBytes;
    const text = found.size > most ? undefined : await readText(path, most);
    if (text === undefined)
      return { outputs: [], problem: `output ${output.name} is no UTF-8 text of at most ${most} bytes` };
    left -= text.length;
    if (left < 0)
      return { outputs: [], problem: `the values are together larger than ${limits.outputBytes} bytes` };
    if (output.kind === 'text')
      outputs.push({ name: output.name, kind: 'value', value: text.replace(/\r?\n$/, '') });
    else {
      let value: Json;
      try {
        value = JSON.parse(text) as Json;
      } catch {
        return { outputs: [], problem: `output ${output.name} is no JSON` };
      }
      const nesting = nestingProblem(value);
      if (nesting) return { outputs: [], problem: `output ${output.name} is ${nesting}` };
      outputs.push({ name: output.name, kind: 'value', value });
    }
  }
  return { outputs };
}

async function readText(path: string, most: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readFile(path)) {
    length += chunk.length;
    if (length > most) return undefined;
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    return undefined;
  }
}
