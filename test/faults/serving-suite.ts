import { connect, type Millrace } from '@millrace/sdk';
import { type ServiceName, startSuite, type TestSuite } from '@millrace/testing';

/** Registry and serving beside NATS, and a client of theirs. */
export interface ServingSuite extends AsyncDisposable {
  readonly suite: TestSuite;
  readonly millrace: Millrace;
}

export async function startServingSuite(env: Readonly<Record<string, string>> = {}): Promise<ServingSuite> {
  const only: ServiceName[] = ['registry', 'serving'];
  const suite = await startSuite({ only, env: { LOG_LEVEL: 'warn', ...env } });
  const addresses = only.map((name) => [name, suite.service(name).address]);
  const millrace = connect({
    endpoints: { services: Object.fromEntries(addresses) },
    project: 'default',
    deadlineMs: 30_000,
  });
  return {
    suite,
    millrace,
    [Symbol.asyncDispose]: async () => {
      millrace.close();
      await suite.stop();
    },
  };
}
