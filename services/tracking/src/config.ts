import { defineSettings, setting } from '@millrace/config';
import { commonSettings } from '@millrace/service';
import { z } from 'zod';

/** The settings of tracking. */
export const settings = defineSettings({
  ...commonSettings,
  MAX_ARTIFACT_BYTES: setting({
    schema: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
    default: String(10 * 1024 ** 3),
    meaning: 'The largest artifact that is taken, in bytes.',
  }),
});
