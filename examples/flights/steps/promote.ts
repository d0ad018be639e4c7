/** Asks the registry to make a version the champion; its gate decides. Argument: the version's name. */
import { connect, currentStep } from '@millrace/sdk';

const version = process.argv[2] ?? '';
const step = currentStep();
const millrace = connect();
const { decision, moved } = await millrace.registry.promoteVersion({
  name: version,
  alias: 'champion',
  comment: `asked for by ${step.run}`,
  requestId: step.keyFor('promote'),
});
await step.writeJson('decision', { moved, reason: decision?.reason ?? '', decision: decision?.name ?? '' });
console.log(`${moved ? 'promoted' : 'refused'}: ${decision?.reason}`);
millrace.close();
