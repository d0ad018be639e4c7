/**
 * `npm run test:clients`: clients that were not written here against the running suite, on embedded storage and, where
 * the servers can be had, on MongoDB and an object store as on a cluster.
 */
import { type ServiceName, startSuite } from '@millrace/testing';
import { findMinio } from '../servers/minio.ts';
import { findMongo } from '../servers/mongodb.ts';
import { findPython, runProgram } from './python.ts';

const testMs = 120_000;

const contexts: Readonly<Record<string, ServiceName>> = {
  tracking: 'tracking',
  registry: 'registry',
  features: 'feature-store',
  pipelines: 'orchestrator',
  serving: 'serving',
  monitoring: 'monitoring',
};

let [passed, failed] = [0, 0];

/** Lets the clients loose on a fresh suite. */
async function play(title: string, python: string, env: Readonly<Record<string, string>>): Promise<void> {
  console.log(`── ${title}`);
  await using suite = await startSuite({ env: { LOG_LEVEL: 'warn', ...env } });
  const addresses = Object.entries(contexts).map(([context, name]) => [context, suite.service(name).address]);
  const args = ['-B', `${import.meta.dirname}/main.py`, JSON.stringify(Object.fromEntries(addresses))];
  let counted = false;
  const code = await runProgram(python, args, testMs, (line) => {
    const sums = /^(\d+) passed, (\d+) failed$/.exec(line);
    if (!sums) return console.log(line);
    counted = true;
    passed += Number(sums[1]);
    failed += Number(sums[2]);
  });
  if (!counted) {
    console.log(`✗ the clients ended with ${code} before they were through, or took more than ${testMs} ms`);
    failed += 1;
  }
  if (code !== 0) showErrors(Object.values(contexts).map((name) => suite.service(name).logs));
}

/** What the services said went wrong, to tell the cause of a failed check. */
function showErrors(logs: readonly (readonly string[])[]): void {
  const errors = logs.flat().filter((line) => /"level":("error"|50)/.test(line));
  if (errors.length > 0) console.log(`── the services' errors\n${errors.slice(-20).join('\n')}`);
}

async function playAsOnCluster(python: string): Promise<void> {
  const [mongo, minio] = [findMongo(), findMinio()];
  if ('reason' in mongo || 'reason' in minio) {
    const reasons = [mongo, minio].flatMap((found) => ('reason' in found ? [found.reason] : []));
    console.log(`skipped: MongoDB and object store: ${reasons.join('; ')}`);
    return;
  }
  const name = `millrace-clients-${process.pid}`;
  const [documents, blobs] = await Promise.all([mongo.start(), minio.start()]);
  try {
    const env = { MONGODB_URL: documents.databaseUrl(name), BLOBS_URL: blobs.blobsUrl(name) };
    await play(`documents in ${mongo.kind}, blobs in ${minio.kind}`, python, env);
  } finally {
    await Promise.all([documents.stop(), blobs.stop()]);
  }
}

const python = await findPython((line) => console.log(line));
if ('reason' in python) console.log(`skipped: ${python.reason}`);
else {
  await play('embedded storage', python.path, {});
  await playAsOnCluster(python.path);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
