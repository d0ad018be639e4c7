import { TensorType } from '@millrace/contracts/common';
import { names } from '@millrace/contracts/names';
import {
  AliasSchema,
  type Gate,
  GateDecisionSchema,
  GateVerdict,
  type Model,
  ModelSchema,
  type ModelVersion,
  ModelVersionSchema,
  ModelVersionState,
} from '@millrace/contracts/registry';
import type { Millrace } from '@millrace/sdk';
import { parseWhole } from '../cli/duration.ts';
import { command, type Group } from '../command.ts';
import { gather, nameIn, withSuite } from '../session.ts';
import { ago, bytes, enumName, lastOf, short } from '../show/format.ts';
import type { Output } from '../show/output.ts';

export const models: Group = {
  summary: 'models, versions, aliases and promotion',
  commands: {
    list: command({
      summary: 'Lists models',
      args: [],
      options: {},
      run: ({ globals, out }) =>
        withSuite(globals, async ({ registry, parent }) => {
          const found = await gather(10_000, async (pageSize, pageToken) => {
            const page = await registry.listModels({ parent, pageSize, pageToken });
            return { items: page.models, nextPageToken: page.nextPageToken };
          });
          out.list(ModelSchema, found, modelColumns(Date.now()), 'There are no models yet.');
          return 0;
        }),
    }),
    show: command({
      summary: 'Shows a model: aliases, versions, gates',
      args: ['MODEL'],
      options: {},
      run: ({ args, globals, out }) =>
        withSuite(globals, async (millrace) => {
          const name = nameIn.model(globals.project, args[0]!);
          const { model } = await millrace.registry.getModel({ name });
          if (!model) return 1;
          if (out.json) out.item(ModelSchema, model, () => {});
          else await show(millrace, model, out);
          return 0;
        }),
    }),
    versions: command({
      summary: 'Lists the versions of a model, or shows one',
      args: ['MODEL', '[VERSION]'],
      options: {},
      run: ({ args, globals, out }) =>
        withSuite(globals, async (millrace) => {
          const parent = nameIn.model(globals.project, args[0]!);
          if (args[1]) {
            const name = `${parent}/versions/${parseWhole(args[1], 'VERSION', 1)}`;
            const { modelVersion } = await millrace.registry.getModelVersion({ name });
            if (modelVersion)
              out.item(ModelVersionSchema, modelVersion, () => showVersion(modelVersion, out));
            return 0;
          }
          const found = await versionsOf(millrace, parent);
          out.list(ModelVersionSchema, found, versionColumns(Date.now()), 'The model has no versions yet.');
          return 0;
        }),
    }),
    promote: command({
      summary: 'Gives an alias to a version if it passes the gates of the alias',
      args: ['MODEL', 'VERSION', 'ALIAS'],
      options: {
        try: { type: 'boolean', meaning: 'Only decide; move nothing.' },
        comment: { type: 'string', value: 'TEXT', meaning: 'Why; kept with the decision.' },
      },
      notes: ['Exit code 1 when the gates refuse it.'],
      run: ({ args, options, globals, out }) =>
        withSuite(globals, async ({ registry }) => {
          const version = parseWhole(args[1]!, 'VERSION', 1);
          const { decision, moved } = await registry.promoteVersion({
            name: `${nameIn.model(globals.project, args[0]!)}/versions/${version}`,
            alias: args[2]!,
            validateOnly: options.try ?? false,
            comment: options.comment ?? '',
          });
          if (!decision) return 1;
          const passed = decision.verdict === GateVerdict.PASSED;
          out.item(GateDecisionSchema, decision, () => {
            out.line(`${passed ? out.good('passed') : out.bad('refused')}: ${decision.reason}`);
            for (const result of decision.results)
              out.line(
                `  ${lastOf(result.gate)}: ${enumName(GateVerdict, result.verdict)}, ${result.reason}`,
              );
            if (moved) out.line(`${decision.alias} now points to version ${version}.`);
          });
          return passed ? 0 : 1;
        }),
    }),
    alias: command({
      summary: 'Sets an alias of a model, takes it back to the version before, or removes it',
      args: ['MODEL', 'ALIAS', '[VERSION]'],
      options: {
        rollback: { type: 'boolean', meaning: 'Back to the version before.' },
        remove: { type: 'boolean', meaning: 'Remove the alias.' },
        'bypass-gates': { type: 'boolean', meaning: 'Set it although it has gates.' },
        comment: { type: 'string', value: 'TEXT', meaning: 'Why; kept in its history.' },
      },
      run: ({ args, options, globals, out }) =>
        withSuite(globals, async ({ registry }) => {
          const name = `${nameIn.model(globals.project, args[0]!)}/aliases/${encodeURIComponent(args[1]!)}`;
          const comment = options.comment ?? '';
          const answer = options.rollback
            ? await registry.rollbackAlias({ name, comment })
            : options.remove
              ? await registry.removeAlias({ name, comment })
              : args[2]
                ? await registry.setAlias({
                    name,
                    comment,
                    version: parseWhole(args[2], 'VERSION', 1),
                    bypassGates: options['bypass-gates'] ?? false,
                  })
                : await registry.getAlias({ name });
          const { alias } = answer;
          if (alias)
            out.item(AliasSchema, alias, () =>
              out.line(
                `${lastOf(alias.name)} → ${alias.modelVersion ? short(alias.modelVersion) : '(removed)'}`,
              ),
            );
          return 0;
        }),
    }),
  },
};

async function versionsOf({ registry }: Millrace, parent: string): Promise<ModelVersion[]> {
  names.model.parse(parent, 'MODEL');
  return gather(10_000, async (pageSize, pageToken) => {
    const page = await registry.listModelVersions({ parent, pageSize, pageToken });
    return { items: page.modelVersions, nextPageToken: page.nextPageToken };
  });
}

async function show(millrace: Millrace, model: Model, out: Output): Promise<void> {
  const nowMs = Date.now();
  out.fields([
    ['model', model.name],
    ['description', model.description],
    ['created', ago(model.createTime, nowMs)],
    ['aliases', aliasesOf(model)],
  ]);
  const versions = await versionsOf(millrace, model.name);
  if (versions.length > 0) {
    out.line('\nVersions');
    out.table(versions, versionColumns(nowMs));
  }
  const { gates } = await millrace.registry.listGates({ parent: model.name });
  if (gates.length === 0) return;
  out.line('\nGates');
  out.table(gates, [
    { title: 'gate', value: (gate: Gate) => lastOf(gate.name) },
    { title: 'alias', value: (gate) => gate.alias },
    { title: 'expression', value: (gate) => gate.expression, shrink: true },
  ]);
}

function showVersion(version: ModelVersion, out: Output): void {
  const tensor = ({ name, type, shape }: { name: string; type: number; shape: readonly bigint[] }) =>
    `${name} ${enumName(TensorType, type)} [${shape.join(', ')}]`;
  out.fields([
    ['version', version.name],
    ['state', stateOf(version)],
    ['reasons', version.stateReasons.join('; ')],
    ['digest', version.digest],
    ['size', bytes(version.sizeBytes)],
    ['aliases', version.aliases.join(', ')],
    ['inputs', version.signature?.inputs.map(tensor).join(', ')],
    ['outputs', version.signature?.outputs.map(tensor).join(', ')],
    ['run', version.sourceRun],
    ['training set', version.trainingSet],
    ['pipeline run', version.pipelineRun],
    ['created', ago(version.createTime, Date.now())],
  ]);
}

const aliasesOf = (model: Model) =>
  model.aliases.map(({ alias, version }) => `${alias} → ${version}`).join(', ');
const stateOf = (version: ModelVersion) => enumName(ModelVersionState, version.state);

function modelColumns(nowMs: number) {
  return [
    { title: 'model', value: (model: Model) => lastOf(model.name) },
    { title: 'newest', value: (model: Model) => String(model.latestVersion), align: 'right' as const },
    { title: 'aliases', value: aliasesOf, shrink: true },
    { title: 'description', value: (model: Model) => model.description, shrink: true },
    { title: 'created', value: (model: Model) => ago(model.createTime, nowMs) },
  ];
}

function versionColumns(nowMs: number) {
  return [
    { title: 'version', value: (version: ModelVersion) => String(version.version), align: 'right' as const },
    { title: 'state', value: stateOf },
    { title: 'aliases', value: (version: ModelVersion) => version.aliases.join(', '), shrink: true },
    { title: 'size', value: (version: ModelVersion) => bytes(version.sizeBytes), align: 'right' as const },
    { title: 'run', value: (version: ModelVersion) => lastOf(version.sourceRun), shrink: true },
    { title: 'why', value: (version: ModelVersion) => version.stateReasons.join('; '), shrink: true },
    { title: 'created', value: (version: ModelVersion) => ago(version.createTime, nowMs) },
  ];
}
