import { connect, type Millrace } from '@millrace/sdk';

/** An upload of an artifact: its header, and the bytes in messages of 64 KiB. */
export async function* uploadOf(run: string, path: string, bytes: Uint8Array, requestId = '') {
  yield { part: { case: 'header' as const, value: { run, path, requestId } } };
  const most = 64 * 1024;
  for (let at = 0; at < bytes.length; at += most)
    yield { part: { case: 'chunk' as const, value: bytes.subarray(at, at + most) } };
}

/** The bytes of an artifact. */
export async function download({ tracking }: Millrace, run: string, path: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { artifact: _, chunk } of tracking.downloadArtifact({ parent: run, path }))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Makes a run to upload to. */
export async function makeRun({ tracking, parent }: Millrace): Promise<string> {
  return (await tracking.createRun({ parent, run: {} })).run?.name ?? '';
}

/** A client of a tracking service alone. */
export const clientOf = ({ address }: { readonly address: string }): Millrace =>
  connect({ endpoints: { services: { tracking: address } }, project: 'default' });
