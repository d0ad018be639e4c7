import {
  create,
  type DescFile,
  type DescMessage,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Health } from '@millrace/contracts/grpc-health';
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  ServerReflection as V1,
} from '@millrace/contracts/grpc-reflection';
import {
  ServerReflectionRequestSchema as AlphaRequestSchema,
  ServerReflectionResponseSchema as AlphaResponseSchema,
  ServerReflection as V1Alpha,
} from '@millrace/contracts/grpc-reflection-v1alpha';
import { kinds } from '@millrace/errors';
import { type Implementation, implement } from './handlers.ts';

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;
type Question = ServerReflectionRequest['messageRequest'];

/** What is known of the files behind a server's services. */
interface Index {
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  readonly symbols: ReadonlyMap<string, DescFile>;
  /** By extended message, then by number. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, DescFile>>;
}

/** Both versions of gRPC server reflection over these services. Their messages are the same on the wire. */
export function reflection(services: readonly DescService[]): readonly Implementation[] {
  let index: Index | undefined;
  const converse = async function* (requests: AsyncIterable<ServerReflectionRequest>) {
    index ??= buildIndex([...services, Health, V1, V1Alpha]);
    const sent = new Set<string>();
    for await (const originalRequest of requests)
      yield create(ServerReflectionResponseSchema, {
        validHost: originalRequest.host,
        originalRequest,
        messageResponse: reply(index, originalRequest.messageRequest, sent),
      });
  };
  return [
    implement(V1, { serverReflectionInfo: converse }),
    implement(V1Alpha, {
      serverReflectionInfo: async function* (requests) {
        const converted = as(requests, AlphaRequestSchema, ServerReflectionRequestSchema);
        yield* as(converse(converted), ServerReflectionResponseSchema, AlphaResponseSchema);
      },
    }),
  ];
}

/** The same messages as another type with the same fields. */
async function* as<A extends DescMessage, B extends DescMessage>(
  messages: AsyncIterable<MessageShape<A>>,
  from: A,
  to: B,
): AsyncGenerator<MessageShape<B>> {
  for await (const message of messages) yield fromBinary(to, toBinary(from, message));
}

function reply(index: Index, question: Question, sent: Set<string>): Answer {
  switch (question.case) {
    case 'listServices': {
      const service = index.services.map((name) => ({ name }));
      return { case: 'listServicesResponse', value: { service } };
    }
    case 'fileByFilename':
      return files(index.files.get(question.value), `file ${question.value}`, sent);
    case 'fileContainingSymbol':
      return files(index.symbols.get(question.value), `symbol ${question.value}`, sent);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      const found = index.extensions.get(containingType)?.get(extensionNumber);
      return files(found, `extension ${extensionNumber} of ${containingType}`, sent);
    }
    case 'allExtensionNumbersOfType': {
      const numbers = index.extensions.get(question.value);
      if (!numbers && !index.symbols.has(question.value)) return unknown(`type ${question.value}`);
      const extensionNumber = [...(numbers?.keys() ?? [])];
      return {
        case: 'allExtensionNumbersResponse',
        value: { baseTypeName: question.value, extensionNumber },
      };
    }
    default:
      return refusal(kinds.invalid_argument.grpc, 'the request asks nothing');
  }
}

/** The file and what it imports, without what this stream was sent before, but always the file itself. */
function files(file: DescFile | undefined, what: string, sent: Set<string>): Answer {
  if (!file) return unknown(what);
  const fileDescriptorProto: Uint8Array[] = [];
  const add = (one: DescFile, always: boolean) => {
    const isNew = !sent.has(one.proto.name);
    if (!isNew && !always) return;
    sent.add(one.proto.name);
    fileDescriptorProto.push(toBinary(FileDescriptorProtoSchema, one.proto));
    for (const dependency of one.dependencies) add(dependency, false);
  };
  add(file, true);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function unknown(what: string): Answer {
  return refusal(kinds.not_found.grpc, `${what} is not known here`);
}

function refusal(errorCode: number, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}

function buildIndex(services: readonly DescService[]): Index {
  const byName = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  const visit = (file: DescFile) => {
    if (byName.has(file.proto.name)) return;
    byName.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      symbols.set(type.typeName, file);
      if (type.kind === 'service')
        for (const method of type.methods) symbols.set(`${type.typeName}.${method.name}`, file);
      if (type.kind === 'message')
        for (const field of type.fields) symbols.set(`${type.typeName}.${field.name}`, file);
      if (type.kind === 'extension') {
        const numbers = extensions.get(type.extendee.typeName) ?? new Map<number, DescFile>();
        extensions.set(type.extendee.typeName, numbers.set(type.number, file));
      }
    }
    for (const dependency of file.dependencies) visit(dependency);
  };
  for (const service of services) visit(service.file);
  const names = [...new Set(services.map((s) => s.typeName))].sort();
  return { services: names, files: byName, symbols, extensions };
}
