/** Asks the registry to make a version the champion; its gate decides. Argument: the version's name, JSON. */
import { connect, currentStep } from '@millrace/sdk';

const version = JSON.parse(process.argv[2] ?? '') as string;
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
