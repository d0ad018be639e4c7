/** Builds the training and the evaluation set. Arguments: train_from train_until evaluate_from evaluate_until. */
import { connect, currentStep } from '@millrace/sdk';
import { buildSet, type Sets } from './sets.ts';

const [trainFrom = '', trainUntil = '', evaluateFrom = '', evaluateUntil = ''] = process.argv.slice(2);
const step = currentStep();
const millrace = connect();
const train = await buildSet(millrace, trainFrom, trainUntil, step.keyFor('train'));
const evaluate = await buildSet(millrace, evaluateFrom, evaluateUntil, step.keyFor('evaluate'));
await step.writeJson('sets', { train, evaluate } satisfies Sets);
console.log(
  `${train.rows} flights to learn from (${train.title}), ${evaluate.rows} to judge by (${evaluate.title})`,
);
millrace.close();
