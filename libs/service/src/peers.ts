import type { DescService } from '@bufbuild/protobuf';
import type { Context } from '@millrace/contracts';
import { CodedError } from '@millrace/errors';
import { type Client, createClient, grpcTransport, type Transport } from '@millrace/rpc';
import type { CommonConfig } from './service.ts';

/** How long a call to another service may take that says nothing else. */
const deadlineMs = 15_000;

/** Clients of the other services: one connection for each address, made when it is first used. */
export interface Peers {
  client<S extends DescService>(service: S, context: Context): Client<S>;
  close(): Promise<void>;
}

/** Reads the addresses from the settings; a service that has none answers UNAVAILABLE with the setting to set. */
export function createPeers(config: CommonConfig, maxMessageBytes?: number): Peers {
  const transports = new Map<string, Transport>();
  const addresses: Readonly<Record<Context, string | undefined>> = {
    tracking: config.TRACKING_ADDRESS,
    registry: config.REGISTRY_ADDRESS,
    features: config.FEATURES_ADDRESS,
    pipelines: config.PIPELINES_ADDRESS,
    serving: config.SERVING_ADDRESS,
    monitoring: config.MONITORING_ADDRESS,
  };
  const options = {
    deadlineMs,
    ...(config.AUTH_TOKEN ? { metadata: { authorization: `Bearer ${config.AUTH_TOKEN}` } } : {}),
  };

  function transportTo(address: string): Transport {
    const known = transports.get(address);
    if (known) return known;
    const made = grpcTransport({ address, ...(maxMessageBytes ? { maxMessageBytes } : {}) });
    transports.set(address, made);
    return made;
  }

  return {
    client(service, context) {
      const address = addresses[context];
      return address ? createClient(service, transportTo(address), options) : absent(service, context);
    },
    close: async () => {
      for (const transport of transports.values()) transport.close();
    },
  };
}

/** A client of a service whose address nobody gave. */
function absent<S extends DescService>(service: S, context: Context): Client<S> {
  const setting = `${context.toUpperCase()}_ADDRESS`;
  const text = `${service.typeName} cannot be reached: set ${setting} to its host:port`;
  const refuse = () => {
    throw new CodedError('unavailable', 'UNAVAILABLE', text);
  };
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      method.methodKind === 'unary' || method.methodKind === 'client_streaming'
        ? async () => refuse()
        : async function* () {
            yield refuse();
          },
    ]),
  ) as unknown as Client<S>;
}
