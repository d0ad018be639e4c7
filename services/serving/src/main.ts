import { runService } from '@millrace/service';
import { maxMessageBytes, settings } from './config.ts';
import { build } from './wiring.ts';

await runService({ name: 'serving', context: 'serving', settings, maxMessageBytes, build });
