import { defineSettings, setting } from '@millrace/config';
import { commonSettings } from '@millrace/service';
import { z } from 'zod';

const count = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

/** The settings of the orchestrator. */
export const settings = defineSettings({
  ...commonSettings,
  STEP_CPU: setting({
    schema: z.coerce.number().min(0).max(4096),
    default: '0',
    meaning: 'Processors that steps may take together; 0 means those of the machine.',
  }),
  STEP_MEMORY_BYTES: setting({
    schema: count(0, Number.MAX_SAFE_INTEGER),
    default: '0',
    meaning: 'Memory that steps may take together; 0 means that of the machine.',
  }),
  STEP_ENV: setting({
    schema: z.string().regex(/^([A-Za-z_][A-Za-z0-9_]*(,[A-Za-z_][A-Za-z0-9_]*)*)?$/, 'NAME,NAME'),
    default: '',
    meaning: 'Environment variables of the orchestrator that steps get too, separated by commas.',
  }),
  STEP_LOG_BYTES: setting({
    schema: count(1024, 2 ** 31),
    default: String(16 << 20),
    meaning: 'Where the log of an attempt is cut, in bytes for each stream.',
  }),
  ORPHAN_GRACE_MS: setting({
    schema: count(1000, 86_400_000),
    default: '60000',
    meaning: 'How long steps go on while the orchestrator is gone, in milliseconds.',
  }),
  BLOB_GRACE_MS: setting({
    schema: count(1000, 2 ** 33),
    default: '86400000',
    meaning: 'How long a blob that nothing refers to is kept, in milliseconds.',
  }),
  SHARDS: setting({
    schema: count(1, 256),
    default: '4',
    meaning: 'Into how many parts replicas share the runs out; the same for all replicas.',
  }),
  LEASE_MS: setting({
    schema: count(1000, 600_000),
    default: '10000',
    meaning: 'After how long without a sign of life a replica’s runs are taken over, in milliseconds.',
  }),
  SCAN_MS: setting({
    schema: count(50, 60_000),
    default: '2000',
    meaning: 'How often runs are looked for that other replicas created or left, in milliseconds.',
  }),
});
