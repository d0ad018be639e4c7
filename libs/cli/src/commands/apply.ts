import { isDeepStrictEqual } from 'node:util';
import { type JsonObject, type Message, toJson } from '@bufbuild/protobuf';
import { CodedError, isCoded } from '@millrace/errors';
import type { Millrace } from '@millrace/sdk';
import { kinds, newRequestId } from '../apply/kinds.ts';
import { type Problem, problemsError, readManifests } from '../apply/manifest.ts';
import { isAsGiven, type Prepared, prepare } from '../apply/prepare.ts';
import { usage } from '../cli/usage.ts';
import { command } from '../command.ts';
import { withSuite } from '../session.ts';
import { short } from '../show/format.ts';

export const apply = command({
  summary: 'Creates or updates resources from YAML',
  args: [],
  options: {
    file: {
      type: 'string',
      short: 'f',
      multiple: true,
      value: 'FILE',
      meaning: 'A file; - is standard input; may be repeated.',
    },
    'dry-run': { type: 'boolean', meaning: 'Check everything and say what would be done; write nothing.' },
  },
  notes: [
    'Each document has kind, metadata (name, and project or, for gates, model) and spec. The spec has the fields of the',
    `contract in proto/. Kinds: ${Object.keys(kinds).join(', ')}.`,
    'Resources are referred to by name (pipeline: retrain), times are written 30s, 5m, 1h30m, 7d, enum values without',
    'their prefix (function: mean), tags and parameters as mappings. Model, Gate and Deployment keep fields that are not given.',
    '',
    'Everything is checked before anything is written; what others refer to is written first.',
  ],
  run: ({ options, globals, out }) => {
    const files = options.file;
    if (files === undefined) throw usage('-f FILE is missing');
    const problems: Problem[] = [];
    const manifests = files.flatMap((file) => readManifests(file, problems));
    const prepared = manifests.flatMap((manifest) => prepare(manifest, globals.project, problems) ?? []);
    if (problems.length > 0) throw problemsError(problems);
    const order = Object.values(kinds);
    prepared.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
    return withSuite(globals, async (millrace) => {
      for (const one of prepared) {
        out.progress(`${short(one.name)} …`);
        const outcome = await applyOne(millrace, one, options['dry-run'] ?? false);
        out.document({ kind: one.manifest.kind, name: one.name, outcome });
        out.line(`${outcome.padEnd(12)}  ${one.manifest.kind.padEnd(11)}  ${short(one.name)}`);
      }
      if (prepared.length === 0) out.line('There is nothing to apply.');
      return 0;
    });
  },
});

async function applyOne(millrace: Millrace, prepared: Prepared, dryRun: boolean): Promise<string> {
  const { kind, name, message, manifest, given } = prepared;
  try {
    const present = await kind.read(millrace, name).catch(unlessMissing);
    const asGiven = present !== undefined && isAsGiven(prepared, present);
    if (dryRun) return !present ? 'would create' : asGiven ? 'unchanged' : 'would update';
    if (kind.partial && asGiven) return 'unchanged';
    const parent = name.split('/').slice(0, 2).join('/');
    const requestId = newRequestId();
    const { metadata } = manifest;
    const written = await kind.write({ millrace, message, metadata, parent, present, given, requestId });
    if (!present) return 'created';
    return isSame(prepared, present, written) ? 'unchanged' : 'updated';
  } catch (error) {
    throw placed(error, prepared);
  }
}

function unlessMissing(error: unknown): undefined {
  if (!isCoded(error, 'not_found')) throw error;
  return undefined;
}

/** Whether a write changed nothing but marks of the write itself. */
function isSame({ kind }: Prepared, before: Message, after: Message | undefined): boolean {
  const content = (message: Message) => {
    const { etag: _, updateTime: __, ...rest } = toJson(kind.schema, message) as JsonObject;
    return rest;
  };
  return after !== undefined && isDeepStrictEqual(content(before), content(after));
}

/** What a service said, with the place in the file. */
function placed(error: unknown, { manifest, placeOf }: Prepared): unknown {
  if (!isCoded(error)) return error;
  if (error.violations.length > 0)
    return problemsError(
      error.violations.map(({ field, description }) => ({ ...placeOf(field), description })),
    );
  const text = `${manifest.at([])}: ${manifest.kind} ${manifest.metadata.name}: ${error.message}`;
  return new CodedError(error.kind, error.code, text, { cause: error });
}
