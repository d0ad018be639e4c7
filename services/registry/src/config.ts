import { defineSettings, setting } from '@millrace/config';
import { commonSettings } from '@millrace/service';
import { z } from 'zod';

/** The settings of the registry. */
export const settings = defineSettings({
  ...commonSettings,
  MAX_MODEL_BYTES: setting({
    schema: z.coerce
      .number()
      .int()
      .min(1024)
      .max(2 ** 31 - 1),
    default: String(512 * 1024 * 1024),
    meaning: 'The largest model file that is taken, in bytes.',
  }),
  VALIDATION_EVERY_MS: setting({
    schema: z.coerce.number().int().min(100).max(3_600_000),
    default: '15000',
    meaning:
      'How often versions and decisions that a stopped process left half done are looked for, in milliseconds.',
  }),
});
