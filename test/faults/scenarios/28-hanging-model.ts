import { isCoded } from '@millrace/errors';
import { infer, type Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { loopModel } from '../../../services/serving/test/models.ts';
import { startInferenceLoad } from '../../e2e/inference-load.ts';
import { linear, loaded, register } from '../../e2e/models.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { startServingSuite } from '../serving-suite.ts';

/** Rounds that take far longer than a run may. The threads that were given up compute on until the process dies. */
const tooMany = 1.5e7;
const [factor, hanging, steady] = [4, 'hanging', 'steady'];

interface Refusal {
  readonly code: string;
  readonly kind: string;
  readonly retryAfterMs: number | undefined;
}

/** A model that hangs again and again beside one that is asked all the time; then the process dies as native code dies. */
async function hang(chance: Chance): Promise<Outcome> {
  await using started = await startServingSuite({ RUN_TIMEOUT_MS: '1500', WORKERS: '2' });
  const { millrace, suite } = started;
  const breaches: string[] = [];
  const insist = (holds: boolean, what: string) => void (holds || breaches.push(what));
  await deploy(millrace, steady, linear([factor], factor));
  await deploy(millrace, hanging, loopModel());
  const serving = suite.service('serving');
  const { pid } = serving;
  const load = startInferenceLoad(millrace, steady, [factor], { clients: 2 });
  try {
    await until(() => load.answered > 20, { what: 'answers of the steady model' });
    insist((await ask(millrace, 1)) === undefined, 'the model does not answer even what is easy');
    // Each costs a worker, which is replaced; after three in a row the model rests.
    breaches.push(...(await askTooMuch(millrace, () => tooMany + chance.between(0, 1_000))));
    const before = load.answered;
    await until(() => load.answered > before + 20, { what: 'answers beside a resting model' });
    insist(serving.pid === pid, 'the process ended');
  } finally {
    await load.stop();
  }
  insist(
    load.failures.length === 0,
    `${load.failures.length} requests to the other model failed: ${load.failures[0]}`,
  );
  insist(load.wrong.length === 0, `wrong answers: ${load.wrong[0]}`);

  // Native code that crashes takes the process with it: what was asked is not answered, and all of it answers again.
  const under = startInferenceLoad(millrace, steady, [factor], { clients: 2 });
  await until(() => under.answered > 20, { what: 'answers' });
  await serving.kill9();
  await serving.restart();
  const again = under.answered;
  await until(() => under.answered > again + 20, { what: 'answers after the crash', timeoutMs: 30_000 });
  await under.stop();
  const unfair = under.failures.filter((error) => !isCoded(error, 'unavailable'));
  insist(unfair.length === 0, `a request that met the crash was told ${unfair[0]}`);
  insist(under.wrong.length === 0, `wrong answers after the crash: ${under.wrong[0]}`);
  await until(async () => (await ask(millrace, 1)) === undefined, {
    what: 'the model that hung, after the crash',
  });
  return { checked: load.answered + under.answered, lost: 0, doubled: 0, breaches };
}

/** Asks for more than a run may take, until the model rests; what was not answered as it should be. */
async function askTooMuch(millrace: Millrace, rounds: () => number): Promise<string[]> {
  const told: (Refusal | undefined)[] = [];
  do told.push(await ask(millrace, rounds()));
  while (told.length < 6 && told.at(-1)?.code === 'RUN_TIMEOUT');
  const codes = told.map((refusal) => refusal?.code ?? 'answered').join(', ');
  const silent = told.filter((refusal) => refusal?.kind !== 'unavailable' || !refusal.retryAfterMs);
  return [
    ...(codes === 'RUN_TIMEOUT, RUN_TIMEOUT, RUN_TIMEOUT, MODEL_RESTS'
      ? []
      : [`a model that hangs was answered ${codes}`]),
    ...(silent.length === 0 ? [] : [`${silent.length} answers do not say when to come again`]),
  ];
}

/** A run may take as long as it likes: nothing refuses it. */
async function control(): Promise<Outcome> {
  await using started = await startServingSuite({ RUN_TIMEOUT_MS: '600000', WORKERS: '1' });
  await deploy(started.millrace, hanging, loopModel());
  return { checked: 1, lost: 0, doubled: 0, breaches: await askTooMuch(started.millrace, () => 500_000) };
}

async function deploy(millrace: Millrace, id: string, onnx: Uint8Array): Promise<void> {
  const { registry, deployments, parent } = millrace;
  const model = `${parent}/models/${id}`;
  await registry.createModel({ parent, modelId: id, model: {} });
  await register(millrace, model, onnx);
  const targets = [{ model, selector: { case: 'version', value: 1 }, weight: 1 }] as const;
  await deployments.createDeployment({ parent, deploymentId: id, deployment: { targets: [...targets] } });
  await loaded(millrace, `${parent}/deployments/${id}`, 1);
}

/** Asks the model that loops for so many rounds; what it was refused with, if it was. */
async function ask(millrace: Millrace, rounds: number): Promise<Refusal | undefined> {
  const row = [{ name: 'x', type: 'FP32', values: [rounds], columns: 1 }] as const;
  try {
    await infer(millrace, hanging, row, { deadlineMs: 30_000 });
    return undefined;
  } catch (error) {
    if (!isCoded(error)) return { code: String(error), kind: 'none', retryAfterMs: undefined };
    return { code: error.code, kind: error.kind, retryAfterMs: error.retryAfterMs };
  }
}

export const scenario: Scenario = {
  number: 28,
  name: 'a model hangs again and again, then the process dies as native code dies',
  invariant:
    'other models answer all the time; the one that hangs rests and says until when; all of them come back',
  run: hang,
  control,
};
