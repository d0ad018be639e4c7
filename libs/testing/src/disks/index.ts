export { missingDisk, startDisk, type TestDisk } from './disk.ts';
export { missingSmallDisk, type SmallDisk, startSmallDisk } from './small-disk.ts';
export { missingStrace, type SpoiledSync, type SyncFault, spoilSync } from './sync.ts';
