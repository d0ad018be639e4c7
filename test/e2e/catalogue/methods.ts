import {
  create,
  createFileRegistry,
  type DescMethod,
  type DescService,
  fromBinary,
} from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { ServerReflection } from '@millrace/contracts/grpc-reflection';
import { from } from '@millrace/errors';
import { createClient, type Transport } from '@millrace/rpc';

type Asked = {
  readonly case: 'listServices' | 'fileContainingSymbol' | 'fileByFilename';
  readonly value: string;
};

/** All services of a process as it tells them by reflection: what is there, not what a list in a test says. */
export async function reflected(transport: Transport): Promise<readonly DescService[]> {
  const client = createClient(ServerReflection, transport, { deadlineMs: 10_000 });
  const ask = async (messageRequest: Asked) => {
    const answers = client.serverReflectionInfo(
      (async function* () {
        yield { messageRequest };
      })(),
    );
    for await (const { messageResponse } of answers) return messageResponse;
    throw new Error('reflection did not answer');
  };
  const files = new Map<string, FileDescriptorProto>();
  const learn = async (asked: Asked): Promise<void> => {
    const found = await ask(asked);
    if (found.case !== 'fileDescriptorResponse') throw new Error(`${asked.value}: ${found.case}`);
    for (const bytes of found.value.fileDescriptorProto) {
      const proto = fromBinary(FileDescriptorProtoSchema, bytes);
      if (files.has(proto.name)) continue;
      files.set(proto.name, proto);
      for (const value of proto.dependency)
        if (!files.has(value)) await learn({ case: 'fileByFilename', value });
    }
  };
  const listed = await ask({ case: 'listServices', value: '' });
  if (listed.case !== 'listServicesResponse') throw new Error(`reflection answered ${listed.case}`);
  for (const { name } of listed.value.service) {
    await learn({ case: 'fileContainingSymbol', value: name });
  }
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: inOrder(files) }));
  return listed.value.service.map(({ name }) => {
    const service = registry.getService(name);
    if (!service) throw new Error(`reflection does not know ${name}`);
    return service;
  });
}

/** Files after those that they import. */
function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const add = (name: string) => {
    const file = files.get(name);
    if (!file || ordered.has(file)) return;
    for (const imported of file.dependency) add(imported);
    ordered.add(file);
  };
  for (const name of files.keys()) add(name);
  return [...ordered];
}

/** Calls a method with an empty request; answers the kind of error, or `ok`. */
export async function kindOf(
  transport: Transport,
  method: DescMethod,
  metadata: Readonly<Record<string, string>>,
): Promise<string> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const signal = AbortSignal.timeout(5_000);
  const call = { method, path, deadlineMs: Date.now() + 5_000, signal, metadata };
  const requests = (async function* () {
    yield new Uint8Array();
  })();
  try {
    if (method.methodKind === 'unary') await transport.unary(call, new Uint8Array());
    else for await (const _ of transport.stream(call, requests)) break;
    return 'ok';
  } catch (error) {
    return from(error).kind;
  }
}
