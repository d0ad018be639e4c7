import type { PeerCertificate } from 'node:tls';
import { type DescMethod, getOption, hasOption } from '@bufbuild/protobuf';
import { permission as permissionOption } from '@millrace/contracts/common';
import { CodedError } from '@millrace/errors';
import type { Identity } from '../context.ts';
import type { Interceptor } from '../router.ts';

/** What tells who calls. */
export interface Credentials {
  /** `millrace.registry.v1.RegistryService/GetModel` */
  readonly method: string;
  readonly peer: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** The verified certificate of the caller under mutual TLS. */
  readonly certificate?: PeerCertificate | undefined;
}

/** Tells who calls; throws UNAUTHENTICATED when it cannot. */
export type Authenticate = (credentials: Credentials) => Identity | Promise<Identity>;

/** Permissions by `package.Service` or `package.Service/Method`. */
export type Permissions = Readonly<Record<string, string>>;

/** The permission of methods that need none, nor credentials. */
export const anyone = 'anyone';

/** Who calls a method that is for anyone, on a server that asks others who they are. */
const stranger: Identity = { subject: 'anonymous', permissions: new Set() };

/** What everybody may ask of every server. */
const standard: Permissions = {
  'grpc.health.v1.Health': anyone,
  'grpc.reflection.v1.ServerReflection': anyone,
  'grpc.reflection.v1alpha.ServerReflection': anyone,
};

/** The permission a method needs: its own option, else the table; undefined when neither tells. */
export function permissionOf(method: DescMethod, table: Permissions = {}): string | undefined {
  if (hasOption(method, permissionOption)) return getOption(method, permissionOption) || undefined;
  const service = method.parent.typeName;
  return table[`${service}/${method.name}`] ?? table[service] ?? standard[service];
}

/** PERMISSION_DENIED unless they may; for what a method allows to some of its callers only. */
export function requirePermission({ subject, permissions }: Identity, permission: string): void {
  if (permissions === 'all' || permissions.has(permission)) return;
  const text = `${subject} lacks the permission ${permission}`;
  throw new CodedError('permission_denied', 'PERMISSION_DENIED', text, { details: { permission } });
}

/** Finds out who calls and refuses whoever lacks the permission. */
export function authentication(permission: string, authenticate: Authenticate | undefined): Interceptor {
  if (!authenticate) return (call, next) => next(call);
  if (permission === anyone)
    return (call, next) => {
      call.identity = stranger;
      return next(call);
    };
  return async (call, next) => {
    const { method, peer, metadata } = call;
    const credentials = { method, peer, metadata, certificate: call.wire.certificate?.() };
    const identity = await call.untilEnded(Promise.resolve(authenticate(credentials)));
    requirePermission(identity, permission);
    call.identity = identity;
    return next(call);
  };
}
