import { runService } from '@millrace/service';
import { settings } from './config.ts';
import { build } from './wiring.ts';

/** Inline entity rows and pushed batches may be large. */
const maxMessageBytes = 64 * 1024 * 1024;

await runService({ name: 'feature-store', context: 'features', settings, maxMessageBytes, build });
