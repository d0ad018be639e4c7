import { type Deployment, DeploymentSchema, TargetState } from '@millrace/contracts/serving';
import { command, type Group } from '../command.ts';
import { gather, nameIn, watchOptions, withSuite } from '../session.ts';
import { ago, bytes, enumName, lastOf } from '../show/format.ts';
import type { Output } from '../show/output.ts';

export const deployments: Group = {
  summary: 'models that answer requests',
  commands: {
    list: command({
      summary: 'Lists deployments',
      args: [],
      options: {},
      run: ({ globals, out }) =>
        withSuite(globals, async ({ deployments, parent }) => {
          const found = await gather(10_000, async (pageSize, pageToken) => {
            const page = await deployments.listDeployments({ parent, pageSize, pageToken });
            return { items: page.deployments, nextPageToken: page.nextPageToken };
          });
          const nowMs = Date.now();
          out.list(
            DeploymentSchema,
            found,
            [
              { title: 'deployment', value: (one) => lastOf(one.name) },
              { title: 'targets', value: targetsOf, shrink: true },
              { title: 'state', value: statesOf, shrink: true },
              { title: 'changed', value: (one) => ago(one.updateTime, nowMs) },
            ],
            'There are no deployments yet.',
          );
          return 0;
        }),
    }),
    show: command({
      summary: 'Shows a deployment and what it has loaded',
      args: ['DEPLOYMENT'],
      options: {},
      run: ({ args, globals, out }) =>
        withSuite(globals, async ({ deployments }) => {
          const name = nameIn.deployment(globals.project, args[0]!);
          const { deployment } = await deployments.getDeployment({ name });
          if (deployment) out.item(DeploymentSchema, deployment, () => show(deployment, out));
          return 0;
        }),
    }),
    watch: command({
      summary: 'Follows deployments as they change',
      args: ['[DEPLOYMENT]'],
      options: {},
      run: ({ args, globals, out }) =>
        withSuite(globals, async ({ deployments, parent }) => {
          const name = args[0] ? nameIn.deployment(globals.project, args[0]) : '';
          for await (const step of deployments.watchDeployments({ parent, name }, watchOptions(globals))) {
            const { deployment, deleted } = step;
            if (!deployment) continue;
            const what = deleted ? 'deleted' : `${targetsOf(deployment)}: ${statesOf(deployment)}`;
            out.item(DeploymentSchema, deployment, () =>
              out.line(`${new Date().toISOString().slice(11, 19)}  ${lastOf(deployment.name)}  ${what}`),
            );
          }
          return 0;
        }),
    }),
  },
};

function targetOf({ model, selector, weight, shadow }: Deployment['targets'][number]): string {
  const at =
    selector.case === 'version'
      ? `/${selector.value}`
      : selector.case === 'alias'
        ? `@${selector.value}`
        : '';
  return `${lastOf(model)}${at}${shadow ? ' (shadow)' : weight > 0 && weight !== 1 ? ` ×${weight}` : ''}`;
}

function targetsOf(deployment: Deployment): string {
  return deployment.targets.map(targetOf).join(', ');
}

function statesOf(deployment: Deployment): string {
  return deployment.targetStatuses
    .map(({ state, loadedVersion, wantedVersion, reason }) => {
      const version = loadedVersion || wantedVersion;
      return `${enumName(TargetState, state)}${version ? ` ${version}` : ''}${reason ? ` (${reason})` : ''}`;
    })
    .join(', ');
}

function show(deployment: Deployment, out: Output): void {
  const nowMs = Date.now();
  out.fields([
    ['deployment', deployment.name],
    ['description', deployment.description],
    ['instances', deployment.instances ? String(deployment.instances) : undefined],
    ['features by', deployment.featureLookup?.entityKeys.map((key) => key.key).join(', ')],
    ['changed', ago(deployment.updateTime, nowMs)],
  ]);
  out.line();
  out.table(
    deployment.targets.map((target, i) => ({ target, status: deployment.targetStatuses[i] })),
    [
      { title: 'target', value: ({ target }) => targetOf(target) },
      { title: 'state', value: ({ status }) => (status ? enumName(TargetState, status.state) : '') },
      { title: 'loaded', value: ({ status }) => String(status?.loadedVersion ?? ''), align: 'right' },
      { title: 'wanted', value: ({ status }) => String(status?.wantedVersion ?? ''), align: 'right' },
      { title: 'memory', value: ({ status }) => bytes(status?.memoryBytes ?? 0), align: 'right' },
      { title: 'since', value: ({ status }) => ago(status?.changeTime, nowMs) },
      { title: 'why', value: ({ status }) => status?.reason ?? '', shrink: true },
    ],
  );
}
