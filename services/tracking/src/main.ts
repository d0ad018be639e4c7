import { runService } from '@millrace/service';
import { settings } from './config.ts';
import { build } from './wiring.ts';

await runService({ name: 'tracking', context: 'tracking', settings, build });
