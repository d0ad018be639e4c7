import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Column, ColumnSchema, ColumnType } from '@millrace/contracts/common';
import {
  FeatureStatus,
  type FeatureVector,
  type FeatureView,
  FeatureViewSchema,
  GetOnlineFeaturesRequestSchema,
  GetOnlineFeaturesResponseSchema,
} from '@millrace/contracts/features';
import { parseMoment } from '../cli/duration.ts';
import { usage } from '../cli/usage.ts';
import { command, type Group } from '../command.ts';
import { gather, nameIn, withSuite } from '../session.ts';
import { ago, enumName, lastOf, number } from '../show/format.ts';

export const features: Group = {
  summary: 'feature views and online values',
  commands: {
    list: command({
      summary: 'Lists feature views',
      args: [],
      options: {},
      run: ({ globals, out }) =>
        withSuite(globals, async ({ features, parent }) => {
          const found = await gather(10_000, async (pageSize, pageToken) => {
            const page = await features.listFeatureViews({ parent, pageSize, pageToken });
            return { items: page.featureViews, nextPageToken: page.nextPageToken };
          });
          out.list(FeatureViewSchema, found, viewColumns(Date.now()), 'There are no feature views yet.');
          return 0;
        }),
    }),
    get: command({
      summary: 'Reads online values: of some features, for some keys',
      args: ['VIEW:FEATURE...'],
      options: {
        key: {
          type: 'string',
          short: 'k',
          multiple: true,
          value: 'NAME=A,B',
          meaning: 'A join key and its values, one for each row.',
        },
        at: {
          type: 'string',
          value: 'TIME',
          meaning: 'The values as they were at this moment. Default: now.',
        },
      },
      notes: ['Example: millrace features get origin_delays:mean_3h --key origin=ORD,ATL'],
      run: ({ args, options, globals, out }) =>
        withSuite(globals, async ({ features, parent }) => {
          const view = args[0]!.split(':')[0]!;
          const given = (options.key ?? []).map(readKey);
          if (given.length === 0) throw usage('--key NAME=VALUE,VALUE is missing');
          const { featureView } = await features.getFeatureView({
            name: nameIn.featureView(globals.project, view),
          });
          const types = new Map<string, ColumnType>();
          for (const name of featureView?.entities ?? []) {
            const { entity } = await features.getEntity({ name });
            for (const key of entity?.joinKeys ?? []) types.set(key.name, key.type);
          }
          const columns = given.map(({ name, texts }) => keyColumn(name, texts, types.get(name)));
          const request = create(GetOnlineFeaturesRequestSchema, {
            parent,
            features: [...args],
            keys: { rowCount: given[0]!.texts.length, columns },
            ...(options.at === undefined
              ? {}
              : { at: timestampFromDate(parseMoment(options.at, '--at', Date.now())) }),
          });
          const answer = await features.getOnlineFeatures(request);
          const { valueAt } = await import('../show/column.ts');
          const shown = (vector: FeatureVector, row: number) => {
            const status = vector.statuses[row] ?? FeatureStatus.UNSPECIFIED;
            if (status !== FeatureStatus.PRESENT) return `(${enumName(FeatureStatus, status)})`;
            const value = vector.values ? valueAt(vector.values, row) : undefined;
            return typeof value === 'number' ? number(value) : String(value);
          };
          out.item(GetOnlineFeaturesResponseSchema, answer, () =>
            out.table(
              Array.from({ length: answer.rowCount }, (_, row) => row),
              [
                ...given.map(({ name, texts }) => ({
                  title: name,
                  value: (row: number) => texts[row] ?? '',
                })),
                ...answer.features.map((vector) => ({
                  title: vector.feature,
                  value: (row: number) => shown(vector, row),
                  align: 'right' as const,
                })),
              ],
            ),
          );
          return 0;
        }),
    }),
  },
};

function readKey(text: string): { readonly name: string; readonly texts: readonly string[] } {
  const [name = '', list] = text.split(/=(.*)/s);
  if (!name || list === undefined) throw usage(`--key ${text} is not NAME=VALUE,VALUE,…`);
  return { name, texts: list.split(',') };
}

function keyColumn(name: string, texts: readonly string[], type: ColumnType = ColumnType.STRING): Column {
  if (type !== ColumnType.INT64) return create(ColumnSchema, { name, type, strings: [...texts] });
  const wrong = texts.find((text) => !/^-?\d+$/.test(text));
  if (wrong !== undefined) throw usage(`--key ${name}: ${JSON.stringify(wrong)} is not a whole number`);
  return create(ColumnSchema, { name, type, int64s: texts.map(BigInt) });
}

function viewColumns(nowMs: number) {
  const featuresOf = (view: FeatureView) =>
    [...view.features, ...view.aggregations].map((one) => one.name).join(', ');
  return [
    { title: 'view', value: (view: FeatureView) => lastOf(view.name) },
    { title: 'version', value: (view: FeatureView) => String(view.version), align: 'right' as const },
    { title: 'keys', value: (view: FeatureView) => view.joinKeys.join(', ') },
    { title: 'features', value: featuresOf, shrink: true },
    { title: 'source', value: (view: FeatureView) => lastOf(view.source) || 'pushed rows' },
    { title: 'online until', value: (view: FeatureView) => ago(view.materializedUntil, nowMs) },
  ];
}
