/** The small service as a process; run.test.ts spawns it. */
import { runService } from '@millrace/service';
import { testSpec } from './spec.ts';

await runService(testSpec());
