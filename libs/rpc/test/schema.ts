/** Declares messages and services for tests, without generated code. */
import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  type MessageInitShape,
  setExtension,
} from '@bufbuild/protobuf';
import {
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  file_google_protobuf_duration,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
  FieldDescriptorProto_Label as Label,
  MethodOptions_IdempotencyLevel,
  MethodOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import {
  FieldRulesSchema,
  file_millrace_common_v1_types,
  permission,
  rules,
} from '@millrace/contracts/common';

export { Type };

export type Rules = MessageInitShape<typeof FieldRulesSchema>;

export interface FieldSpec {
  readonly type: Type;
  readonly typeName?: string;
  readonly list?: boolean;
  /** A map from strings to the type. */
  readonly map?: boolean;
  readonly oneof?: boolean;
  /** Explicit presence. */
  readonly optional?: boolean;
  readonly rules?: Rules;
}

export interface MethodSpec {
  readonly input: string;
  readonly output: string;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
  readonly permission?: string;
  /** It changes nothing. */
  readonly reads?: boolean;
}

const pkg = 'millrace.rpctest.v1';

/** Compiles a file with these messages and services into a registry. */
export function declare(
  messages: Readonly<Record<string, Readonly<Record<string, FieldSpec>>>>,
  services: Readonly<Record<string, Readonly<Record<string, MethodSpec>>>> = {},
): FileRegistry {
  const known = [
    file_google_protobuf_timestamp,
    file_google_protobuf_duration,
    file_google_protobuf_wrappers,
    file_millrace_common_v1_types,
  ];
  const file = create(FileDescriptorProtoSchema, {
    name: 'millrace/rpctest/v1/test.proto',
    package: pkg,
    syntax: 'proto3',
    dependency: known.map((f) => f.proto.name),
    messageType: Object.entries(messages).map(([name, fields]) => ({
      name,
      field: Object.entries(fields).map(([field, spec], i) =>
        fieldOf(field, i + 1, spec.map ? asMap(name, field, spec) : spec, fields),
      ),
      nestedType: Object.entries(fields)
        .filter(([, spec]) => spec.map)
        .map(([field, spec]) => ({
          name: entryName(field),
          options: { mapEntry: true },
          field: [fieldOf('key', 1, { type: Type.STRING }, {}), fieldOf('value', 2, bare(spec), {})],
        })),
      oneofDecl: [
        ...(Object.values(fields).some((f) => f.oneof) ? [{ name: 'choice' }] : []),
        ...Object.entries(fields)
          .filter(([, spec]) => spec.optional)
          .map(([field]) => ({ name: `_${field}` })),
      ],
    })),
    service: Object.entries(services).map(([name, methods]) => ({
      name,
      method: Object.entries(methods).map(([method, spec]) => {
        const options = create(MethodOptionsSchema);
        if (spec.reads) options.idempotencyLevel = MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
        if (spec.permission) setExtension(options, permission, spec.permission);
        return {
          name: method,
          inputType: `.${pkg}.${spec.input}`,
          outputType: `.${pkg}.${spec.output}`,
          clientStreaming: spec.clientStreaming ?? false,
          serverStreaming: spec.serverStreaming ?? false,
          options,
        };
      }),
    })),
  });
  return createFileRegistry(file, (name) => known.find((f) => f.proto.name === name));
}

function entryName(field: string): string {
  return `${field.charAt(0).toUpperCase()}${field.slice(1)}Entry`;
}

function bare({ type, typeName }: FieldSpec): FieldSpec {
  return typeName ? { type, typeName } : { type };
}

function asMap(message: string, field: string, spec: FieldSpec): FieldSpec {
  const typeName = `.${pkg}.${message}.${entryName(field)}`;
  return { ...spec, type: Type.MESSAGE, typeName, list: true };
}

function fieldOf(
  name: string,
  number: number,
  spec: FieldSpec,
  all: Readonly<Record<string, FieldSpec>>,
): FieldDescriptorProto {
  const options = create(FieldOptionsSchema);
  if (spec.rules) setExtension(options, rules, create(FieldRulesSchema, spec.rules));
  const optionals = Object.keys(all).filter((key) => all[key]?.optional);
  const hasChoice = Object.values(all).some((f) => f.oneof);
  return create(FieldDescriptorProtoSchema, {
    name,
    number,
    type: spec.type,
    label: spec.list ? Label.REPEATED : Label.OPTIONAL,
    options,
    ...(spec.typeName ? { typeName: spec.typeName } : {}),
    ...(spec.oneof ? { oneofIndex: 0 } : {}),
    ...(spec.optional
      ? { proto3Optional: true, oneofIndex: optionals.indexOf(name) + (hasChoice ? 1 : 0) }
      : {}),
  });
}

/** A message type with one field, `f`. */
export function typeWith(spec: FieldSpec): DescMessage {
  return messageOf(declare({ T: { f: spec } }), 'T');
}

/** A message type of a registry made by {@link declare}. */
export function messageOf(registry: FileRegistry, name: string): DescMessage {
  const found = registry.getMessage(`${pkg}.${name}`);
  if (!found) throw new TypeError(`no message ${name}`);
  return found;
}
