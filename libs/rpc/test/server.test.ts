import { connect } from 'node:http2';
import { credentials, Client as GrpcClient, Metadata, type ServiceError } from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@millrace/contracts/grpc-health';
import { ServerReflection } from '@millrace/contracts/grpc-reflection';
import { ServerReflection as V1Alpha } from '@millrace/contracts/grpc-reflection-v1alpha';
import { CodedError, isCoded } from '@millrace/errors';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  anyone,
  createClient,
  createServer,
  grpcTransport,
  implement,
  memoryTransport,
  type RpcServer,
  type ServerOptions,
  type Transport,
} from '../src/index.ts';
import { Bare, Echo, echo } from './echo.ts';

const started: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});

async function start(options: Partial<ServerOptions> = {}) {
  const { seen, implementation } = echo();
  const server: RpcServer = await createServer({ implementations: [implementation], ...options });
  started.push(() => server.stop());
  const transport: Transport = grpcTransport({ address: server.address });
  started.push(() => transport.close());
  const client = createClient(Echo, transport, { deadlineMs: 5000 });
  return { seen, implementation, server, transport, client };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return isCoded(error) ? error.code : String(error);
  }
  return 'OK';
}

async function eventually(test: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !test(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(test()).toBe(true);
}

/** A call by grpc-js alone, as a client that knows nothing of this library makes it. */
function foreign(address: string, path: string, bytes: Buffer, deadlineMs?: number) {
  const client = new GrpcClient(address, credentials.createInsecure());
  started.push(() => client.close());
  const same = (b: Buffer) => b;
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  return new Promise<{ error: ServiceError | null; answer: Buffer | undefined }>((resolve) => {
    client.makeUnaryRequest(path, same, same, bytes, new Metadata(), options, (error, answer) =>
      resolve({ error, answer }),
    );
  });
}

const path = '/millrace.rpctest.v1.Echo/GetText';

describe('a server', () => {
  it('answers INVALID_ARGUMENT to bytes that are no message', async () => {
    const { server } = await start();
    for (const bytes of [
      Buffer.from([0xff]),
      Buffer.from([0x0a, 0x05, 0x61]),
      Buffer.from([0x0a, 0x02, 0xc3, 0x28]),
      Buffer.alloc(40, 0x23),
    ]) {
      const { error } = await foreign(server.address, path, bytes, 1000);
      expect([bytes, error?.code]).toEqual([bytes, 3]);
    }
  });

  it('answers UNIMPLEMENTED to methods it does not have', async () => {
    const { server } = await start();
    expect((await foreign(server.address, '/a.B/C', Buffer.alloc(0), 1000)).error?.code).toBe(12);
  });

  it('answers RESOURCE_EXHAUSTED to oversize messages, and goes on', async () => {
    const { server, client } = await start({ maxMessageBytes: 1000 });
    expect((await foreign(server.address, path, Buffer.alloc(1001), 1000)).error?.code).toBe(8);
    expect((await client.getText({ text: 'a' })).text).toBe('a');
  });

  it('gives a deadline to callers that send none', async () => {
    const { server, seen } = await start({ defaultDeadlineMs: 80 });
    const { error } = await foreign(server.address, path, Buffer.from('\n\u0004deaf'));
    expect(error?.code).toBe(4);
    expect(seen.context?.signal.aborted).toBe(true);
  });

  it('stops the handler of a stream when the connection of its reader is cut', async () => {
    const { server, seen } = await start();
    const session = connect(`http://${server.address}`);
    session.on('error', () => undefined);
    const request = session.request({
      ':method': 'POST',
      ':path': '/millrace.rpctest.v1.Echo/Count',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    request.on('error', () => undefined);
    // count = 1,000,000
    request.end(Buffer.from([0, 0, 0, 0, 4, 0x10, 0xc0, 0x84, 0x3d]));
    await eventually(() => seen.produced > 0);
    session.destroy();
    await eventually(() => seen.left === 1);
  });

  it('survives whatever is sent to it', async () => {
    const { server, client } = await start({ maxMessageBytes: 10_000 });
    const session = connect(`http://${server.address}`);
    session.on('error', () => undefined);
    started.push(() => session.destroy());
    const method = fc.constantFrom('GetText', 'Count', 'Sum', 'Chat', 'None');
    const framed = fc.uint8Array({ maxLength: 60 }).map((b) => [0, 0, 0, 0, b.length, ...b]);
    const body = fc.oneof(
      framed,
      fc.array(framed, { maxLength: 3 }).map((f) => f.flat()),
      fc.uint8Array({ maxLength: 60 }).map((b) => [...b]),
      fc.constantFrom([0, 0x7f, 0xff, 0xff, 0xff, 1], [1, 0, 0, 0, 2, 1, 1], [0, 0, 0, 0, 9, 1]),
    );
    const timeout = fc.constantFrom('1S', '0n', '100m', '99999999H', '-1S', 'x', '');
    await fc.assert(
      fc.asyncProperty(method, body, timeout, fc.boolean(), async (name, bytes, grpcTimeout, resets) => {
        const request = session.request({
          ':method': 'POST',
          ':path': `/millrace.rpctest.v1.Echo/${name}`,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...(grpcTimeout ? { 'grpc-timeout': grpcTimeout } : {}),
        });
        const closed = new Promise((resolve) => request.on('close', resolve));
        request.on('error', () => undefined);
        request.resume();
        request.end(Buffer.from(bytes));
        if (resets) request.close(8);
        await closed;
      }),
      { numRuns: 200 },
    );
    expect((await client.getText({ text: 'alive' })).text).toBe('alive');
  });

  it('refuses to start with a method that declares no permission', async () => {
    const bare = implement(Bare, { getText: async (request) => request });
    const refused = createServer({ implementations: [bare] });
    await expect(refused).rejects.toMatchObject({ code: 'PERMISSION_UNDECLARED' });
    await expect(refused).rejects.toThrow('millrace.rpctest.v1.Bare/GetText');
    expect(() => memoryTransport([bare])).toThrow('declare no permission');
    for (const key of ['millrace.rpctest.v1.Bare', 'millrace.rpctest.v1.Bare/GetText'])
      await start({ implementations: [bare], permissions: { [key]: 'bare.text.get' } });
  });

  it('refuses to start with a method that nobody answers, which does not compile either', () => {
    // @ts-expect-error -- getText is missing
    const empty = implement(Bare, {});
    const permissions = { 'millrace.rpctest.v1.Bare': anyone };
    expect(() => memoryTransport([empty], { permissions })).toThrow('not implemented');
  });

  it('refuses other hosts than loopback without authentication', async () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example'])
      expect(await codeOf(createServer({ implementations: [], host }))).toBe('AUTHENTICATION_REQUIRED');
    const server = await createServer({
      implementations: [],
      host: '0.0.0.0',
      authenticate: () => ({ subject: 'a', permissions: 'all' }),
    });
    await server.stop();
  });

  it('says that a port is taken', async () => {
    const { server } = await start();
    expect(await codeOf(createServer({ implementations: [], port: server.port }))).toBe('UNAVAILABLE');
  });
});

describe('authentication', () => {
  const options: Partial<ServerOptions> = {
    authenticate: ({ metadata }) => {
      const token = metadata.get('authorization');
      if (!token) throw new CodedError('unauthenticated', 'UNAUTHENTICATED', 'no token');
      return { subject: token, permissions: token === 'root' ? 'all' : new Set(['echo.text.get']) };
    },
  };

  it('asks who calls, and refuses what they may not do', async () => {
    const { client, seen, implementation } = await start(options);
    for (const caller of [
      client,
      createClient(Echo, memoryTransport([implementation], options), { deadlineMs: 999 }),
    ]) {
      const as = (authorization: string) => ({ metadata: { authorization } });
      expect(await codeOf(caller.getText({}))).toBe('UNAUTHENTICATED');
      expect(await codeOf(caller.getText({}, as('reader')))).toBe('OK');
      expect(seen.context?.identity.subject).toBe('reader');
      expect(await codeOf(caller.setText({}, as('reader')))).toBe('PERMISSION_DENIED');
      expect(await codeOf(caller.setText({}, as('root')))).toBe('OK');
    }
  });

  it('is asked before the request is looked at', async () => {
    const { server } = await start(options);
    expect((await foreign(server.address, path, Buffer.from([0xff]), 1000)).error?.code).toBe(16);
  });

  it('does not stand before health', async () => {
    const { transport } = await start(options);
    const health = createClient(Health, transport, { deadlineMs: 1000 });
    expect((await health.check({})).status).toBe(Status.SERVING);
  });

  it('is not asked about methods that are for anyone', async () => {
    const bare = implement(Bare, {
      getText: async (request, { identity }) => {
        expect(identity).toEqual({ subject: 'anonymous', permissions: new Set() });
        return request;
      },
    });
    const permissions = { 'millrace.rpctest.v1.Bare': anyone };
    const { transport } = await start({ implementations: [bare], permissions, ...options });
    expect((await createClient(Bare, transport, { deadlineMs: 1000 }).getText({ text: 'a' })).text).toBe('a');
  });
});

it('runs interceptors in order, after authentication, on every kind of call', async () => {
  const order: string[] = [];
  const { client } = await start({
    interceptors: [
      async (call, next) => {
        order.push(`in ${call.descriptor.name}`);
        await next(call);
        order.push('out');
      },
      async (call, next) => {
        order.push('second');
        if (call.metadata.get('x-stop')) throw new CodedError('aborted', 'STOPPED', 'stopped');
        await next(call);
      },
    ],
  });
  await client.getText({});
  for await (const _ of client.count({ count: 2 }));
  expect(order).toEqual(['in GetText', 'second', 'out', 'in Count', 'second', 'out']);
  expect(await codeOf(client.getText({}, { metadata: { 'x-stop': '1' } }))).toBe('STOPPED');
});

describe('health', () => {
  it('tells each service and the server', async () => {
    const { server, transport } = await start();
    const health = createClient(Health, transport, { deadlineMs: 5000 });
    const service = Echo.typeName;
    expect((await health.check({ service })).status).toBe(Status.SERVING);
    server.setServing(false, service);
    expect((await health.check({ service })).status).toBe(Status.NOT_SERVING);
    expect((await health.check({})).status).toBe(Status.SERVING);
    expect(await codeOf(health.check({ service: 'no.Such' }))).toBe('NOT_FOUND');
    const { statuses } = await health.list({});
    expect(statuses[service]?.status).toBe(Status.NOT_SERVING);
  });

  it('tells changes as they happen', async () => {
    const { server, transport } = await start();
    const health = createClient(Health, transport, { deadlineMs: 5000 });
    const told: number[] = [];
    for await (const { status } of health.watch({})) {
      told.push(status);
      if (told.length === 1) server.setServing(false);
      if (told.length === 2) server.setServing(true);
      if (told.length === 3) break;
    }
    expect(told).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]);
    for await (const { status } of health.watch({ service: 'no.Such' })) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
  });
});

describe.each([
  ['v1', ServerReflection],
  ['v1alpha', V1Alpha],
] as const)('reflection %s', (_, service) => {
  it('tells services, files with their imports, extensions, and what it does not know', async () => {
    const { transport } = await start();
    const client = createClient(service as typeof ServerReflection, transport, { deadlineMs: 5000 });
    const questions = [
      { case: 'listServices', value: '' },
      { case: 'fileContainingSymbol', value: Echo.typeName },
      { case: 'fileContainingSymbol', value: 'millrace.rpctest.v1.Text' },
      { case: 'fileByFilename', value: 'millrace/common/v1/rules.proto' },
      { case: 'allExtensionNumbersOfType', value: 'google.protobuf.FieldOptions' },
      {
        case: 'fileContainingExtension',
        value: { containingType: 'google.protobuf.MethodOptions', extensionNumber: 50101 },
      },
      { case: 'fileContainingSymbol', value: 'no.Such' },
      { case: undefined },
    ] as const;
    const requests = (async function* () {
      for (const messageRequest of questions) yield { host: 'h', messageRequest };
    })();
    const answers: string[] = [];
    for await (const { messageResponse: answer, originalRequest } of client.serverReflectionInfo(requests)) {
      expect(originalRequest?.host).toBe('h');
      if (answer.case === 'listServicesResponse')
        answers.push(answer.value.service.map((s) => s.name).join(' '));
      else if (answer.case === 'fileDescriptorResponse')
        answers.push(`${answer.value.fileDescriptorProto.length} files`);
      else if (answer.case === 'errorResponse') answers.push(`error ${answer.value.errorCode}`);
      else if (answer.case) answers.push(`numbers ${answer.value.extensionNumber.join()}`);
    }
    expect(answers).toEqual([
      'grpc.health.v1.Health grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection millrace.rpctest.v1.Echo',
      '7 files',
      '1 files',
      '1 files',
      'numbers 50101',
      '1 files',
      'error 5',
      'error 3',
    ]);
  });
});

describe('draining', () => {
  it('waits for calls in flight, ends watches, takes no new calls', async () => {
    const { server, client } = await start();
    const slow = client.getText({ text: 'slow' });
    const stream = (async () => {
      for await (const _ of client.count({ count: 3, text: 'slow' }));
    })();
    const watching = (async () => {
      for await (const _ of client.watchText({ text: 'x' }));
    })();
    const watch = codeOf(watching);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const drained = server.drain(5000);
    expect(await watch).toBe('UNAVAILABLE');
    expect((await slow).text).toBe('slow');
    await stream;
    expect(await drained).toBe(true);
    expect(await codeOf(client.setText({}))).toBe('UNAVAILABLE');
  });

  it('ends what takes too long', async () => {
    const { server, client, seen } = await start();
    const stuck = codeOf(client.setText({ text: 'deaf' }));
    await eventually(() => seen.calls === 1);
    expect(await server.drain(50)).toBe(false);
    expect(await stuck).toBe('UNAVAILABLE');
    expect(seen.context?.signal.aborted).toBe(true);
  });

  it('lets clients come back when the server does', async () => {
    const first = await start();
    await first.client.getText({});
    await first.server.drain(100);
    const again = first.client.getText({ text: 'back' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await start({ port: first.server.port });
    expect((await again).text).toBe('back');
  });
});
