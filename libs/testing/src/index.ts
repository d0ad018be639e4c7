export { type Chance, createChance } from './chance.ts';
export { type FakeClock, fakeClock } from './clock.ts';
export { damage } from './damage.ts';
export {
  missingDisk,
  missingSmallDisk,
  missingStrace,
  type SmallDisk,
  type SpoiledSync,
  type SyncFault,
  spoilSync,
  startDisk,
  startSmallDisk,
  type TestDisk,
} from './disks/index.ts';
export { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
export { freePort } from './free-port.ts';
export { protect } from './guard.ts';
export { startNats, type TestNats } from './nats.ts';
export { type PlainNats, type PlainNatsOptions, startPlainNats } from './plain-nats.ts';
export type { Race } from './race.ts';
export { publishRaw, type RawMessage, rawHeader } from './raw-nats.ts';
export {
  type ServiceName,
  type ServiceOptions,
  services,
  startService,
  type TestService,
} from './service.ts';
export { type SuiteOptions, startSuite, type TestSuite } from './suite.ts';
export { type TempDir, tempDir } from './temp-dir.ts';
export { type Unreliability, unreliable } from './unreliable.ts';
export { until } from './until.ts';
