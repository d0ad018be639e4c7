import { gzipSync } from 'node:zlib';
import type { ServiceName } from '@millrace/testing';
import { describe, expect, it } from 'vitest';
import { offered } from '../bad-input.ts';
import { framed, open, raw, send } from './http2.ts';
import { all, type Session } from './session.ts';

const mib = 2 ** 20;

/** Messages that are not what they say, and what they would take if they were believed. */
const lies = {
  'of 2 GiB': framed(Buffer.alloc(4), { says: 0x7fffffff }),
  'of more than there is': framed(Buffer.alloc(4), { says: 9 }),
  'of four million empty messages in the first field': framed(Buffer.alloc(8 * mib, Buffer.from([0x0a, 0]))),
  'of four million empty messages in the second field': framed(Buffer.alloc(8 * mib, Buffer.from([0x12, 0]))),
  'of four million fields that nobody knows': framed(Buffer.alloc(8 * mib, Buffer.from([0x78, 0]))),
  'of groups in groups': framed(Buffer.alloc(mib, 0x0b)),
};

/** Sizes and numbers of requests: rows 13 and 25. */
export function loadRows(session: () => Session): void {
  const headersOf = (name: ServiceName) => {
    // One that is asked with a message of more than a name or two.
    const methods = offered[name].flatMap((service) => service.methods);
    const method = methods.find(({ input }) => input.fields.length > 3) ?? methods[0]!;
    return {
      ':method': 'POST',
      ':path': `/${method.parent.typeName}/${method.name}`,
      'content-type': 'application/grpc',
      'grpc-timeout': '2S',
      te: 'trailers',
      authorization: `Bearer ${session().token}`,
    };
  };

  describe('row 13: messages that lie about their size, or grow', () => {
    const bomb = framed(gzipSync(Buffer.alloc(256 * mib)), { compressed: true });

    it.each(all)('take no memory of %s, and nobody waits for them', async (name) => {
      const before = session().residentMb(name);
      const connection = open(session().suite.service(name).address);
      const headers = headersOf(name);
      for (const [what, body] of Object.entries(lies)) {
        const { grpc } = await send(connection, headers, body);
        // INTERNAL, UNKNOWN and UNAVAILABLE would be words of a service that did not see it coming.
        expect([what, [2, 13, 14].includes(grpc ?? 0)]).toEqual([what, false]);
      }
      const { grpc } = await send(connection, { ...headers, 'grpc-encoding': 'gzip' }, bomb);
      expect([0, 2, 13, 14]).not.toContain(grpc);
      connection.destroy();
      expect(session().residentMb(name) - before).toBeLessThan(300);
      await session().expectAllServing();
    });
  });

  it('row 25: ten thousand calls that are reset at once, and other protocols, disturb nobody else', async () => {
    const { millrace, residentMb, suite } = session();
    const { address } = suite.service('tracking');
    const before = residentMb('tracking');
    const connection = open(address);
    const headers = headersOf('tracking');
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 500 && !connection.destroyed; i++) {
        const stream = connection.request(headers);
        stream.on('error', () => undefined);
        stream.close(8);
      }
      // Somebody else asks meanwhile.
      await millrace.tracking.listExperiments({ parent: millrace.parent });
    }
    connection.destroy();
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00',
      `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(400)}`,
    ])
      await raw(address, bytes);
    await millrace.tracking.listExperiments({ parent: millrace.parent });
    expect(residentMb('tracking') - before).toBeLessThan(300);
  });
}
