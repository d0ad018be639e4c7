import { runService } from '@millrace/service';
import { settings } from './config.ts';
import { build } from './wiring.ts';

await runService({ name: 'serving', context: 'serving', settings, maxMessageBytes: 80 * 1024 ** 2, build });
