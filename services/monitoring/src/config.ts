import { defineSettings } from '@millrace/config';
import { commonSettings } from '@millrace/service';

/** Monitoring has no settings of its own: what is watched, and how, are resources. */
export const settings = defineSettings({ ...commonSettings });
