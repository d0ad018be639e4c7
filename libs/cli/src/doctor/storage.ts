import { DamagedKind } from '@millrace/contracts/common';
import { from } from '@millrace/errors';
import type { Millrace } from '@millrace/sdk';
import type { Globals } from '../command.ts';
import { members } from '../suite/members.ts';
import { bad, type Finding, good, note } from './finding.ts';

/** Reading everything may take long. */
const verifyMs = 3_600_000;
const again = 'mend what is named, or look at the log of the service; then try again';

/** Asks each service whether what it has stored is sound: what it knows of, or after reading everything. */
export async function checkStorage(
  globals: Globals,
  deep: boolean,
  progress: (text: string) => void,
): Promise<Finding[]> {
  const { connect, findEndpoints } = await import('@millrace/sdk');
  let endpoints: ReturnType<typeof findEndpoints>;
  try {
    endpoints = findEndpoints(globals.env);
  } catch {
    return deep ? [note('what is stored can be verified while the suite runs', 'millrace up')] : [];
  }
  const millrace = connect({ endpoints, project: globals.project, deadlineMs: deep ? verifyMs : 3_000 });
  try {
    const findings: Finding[] = [];
    for (const member of members.filter(({ context }) => endpoints.services[context])) {
      try {
        findings.push(...(deep ? await verify(millrace, member, progress) : await known(millrace, member)));
      } catch (error) {
        // That it does not answer was said already; that what was asked for was not done, was not.
        if (!deep) continue;
        findings.push(...(await known(millrace, member).catch(() => [])));
        findings.push(bad(`${member.name}: not all was verified: ${from(error).message}`, again));
      }
    }
    return findings;
  } finally {
    millrace.close();
  }
}

type Member = (typeof members)[number];

async function known(millrace: Millrace, { name, context }: Member): Promise<Finding[]> {
  const { damages } = await millrace.integrity(context).listDamages({});
  return damages.map((damage) => describe(name, damage));
}

async function verify(
  millrace: Millrace,
  { name, context }: Member,
  progress: (text: string) => void,
): Promise<Finding[]> {
  for await (const told of millrace.integrity(context).verifyStorage({})) {
    const { verifiedBlobs, publishedEvents, damages, done } = told;
    progress(`${name}: ${verifiedBlobs} blobs read …`);
    if (!done) continue;
    const found = damages.map((damage) => describe(name, damage));
    if (publishedEvents > 0n)
      found.push(note(`${name}: its stream lacked ${publishedEvents} events, which it has again`));
    return found.length > 0
      ? found
      : [good(`${name}: documents, stream and ${verifiedBlobs} blobs are sound`)];
  }
  return [bad(`${name}: the verification ended early`, again)];
}

function describe(name: string, { kind, what, reason }: { kind: DamagedKind; what: string; reason: string }) {
  if (kind === DamagedKind.DOCUMENTS)
    return bad(`${name}: the documents are damaged: ${reason}`, 'restore them from a backup');
  return bad(
    `${name}: blob ${what} is damaged: ${reason}`,
    'upload the same bytes again, or restore the file',
  );
}
