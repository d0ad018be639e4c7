import { defineSettings, setting } from '@millrace/config';
import { commonSettings } from '@millrace/service';
import { z } from 'zod';

const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** The settings of the feature store. */
export const settings = defineSettings({
  ...commonSettings,
  SOURCE_ROOTS: setting({
    schema: z.string(),
    default: '',
    meaning: 'Folders below which sources may name files, separated by commas; none: only uploaded files.',
  }),
  ONLINE_HORIZON_HOURS: setting({
    schema: whole(1, 24 * 366),
    default: '48',
    meaning: 'How far behind the newest row of a key online reads stay exact, in hours.',
  }),
  ONLINE_CACHE_KEYS: setting({
    schema: whole(0, 10_000_000),
    default: '100000',
    meaning: 'How many keys are kept in memory in front of the online store.',
  }),
  ONLINE_CACHE_MS: setting({
    schema: whole(0, 3_600_000),
    default: '1000',
    meaning: 'How long a cached key may miss what another replica wrote, in milliseconds.',
  }),
  DUCKDB_MEMORY_MB: setting({
    schema: whole(128, 1_000_000),
    default: '2048',
    meaning: 'Memory of one DuckDB job in megabytes; beyond it, it spills to disk.',
  }),
  DUCKDB_DISK_MB: setting({
    schema: whole(128, 100_000_000),
    default: '16384',
    meaning: 'Disk that one DuckDB job may spill to, in megabytes; beyond it, it fails.',
  }),
  DUCKDB_THREADS: setting({ schema: whole(1, 256), default: '2', meaning: 'Threads of one DuckDB job.' }),
  JOB_CONCURRENCY: setting({ schema: whole(1, 16), default: '1', meaning: 'How many jobs run at once.' }),
  JOB_LEASE_MS: setting({
    schema: whole(1000, 600_000),
    default: '8000',
    meaning: 'After how long the job of a dead process is run again, in milliseconds.',
  }),
  JOB_MAX_CRASHES: setting({
    schema: whole(1, 1000),
    default: '5',
    meaning: 'How many processes may die of a job before it is ended as failed.',
  }),
  JOB_TIMEOUT_S: setting({
    schema: whole(1, 86_400),
    default: '1800',
    meaning: 'After how long a job is ended as failed, in seconds.',
  }),
  MAX_UPLOAD_MB: setting({
    schema: whole(1, 1_000_000),
    default: '4096',
    meaning: 'Largest uploaded source file in megabytes.',
  }),
});
