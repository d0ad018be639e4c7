export { type CallOptions, type Client, type ClientOptions, createClient } from './client.ts';
export { rpcCodes } from './codes.ts';
export { type CallContext, type Identity, type Logger, ServerCall, silent } from './context.ts';
export { type GrpcTransportOptions, grpcTransport } from './grpc-transport.ts';
export { type HandlerOf, type Handlers, type Implementation, implement } from './handlers.ts';
export {
  type Authenticate,
  anyone,
  type Credentials,
  type Permissions,
  requirePermission,
} from './interceptors/auth.ts';
export { memoryTransport } from './memory-transport.ts';
export type { Interceptor, Next, RouterOptions } from './router.ts';
export { createServer, type RpcServer, type ServerOptions } from './server.ts';
export { fromWire, toWire, type WireStatus } from './status.ts';
export type { ClientCall, Transport } from './transport.ts';
export { type Validate, validatorOf } from './validation/validator.ts';
