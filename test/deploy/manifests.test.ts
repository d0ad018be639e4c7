import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

const root = join(import.meta.dirname, '../..');
const deploy = join(root, 'deploy');
const base = join(deploy, 'kubernetes/base');
const services = readdirSync(join(root, 'services'));

interface Probe {
  readonly grpc: { readonly port: number };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports: readonly { readonly containerPort: number }[];
  readonly envFrom: readonly {
    readonly configMapRef?: { name: string };
    readonly secretRef?: { name: string };
  }[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec: {
    readonly replicas: number;
    readonly selector: unknown;
    readonly ports: readonly { readonly port: number }[];
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly terminationGracePeriodSeconds: number;
      };
    };
  };
}

/** The documents of a YAML file; throws where the YAML is wrong or names a key twice. */
function documents(path: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(path, 'utf8'), { uniqueKeys: true }).map((document) => {
    const [error] = document.errors;
    if (error) throw error;
    return document.toJS() as Manifest;
  });
}

const find = (path: string, kind: string): Manifest => {
  const found = documents(path).find((manifest) => manifest.kind === kind);
  if (!found) throw new Error(`${path} has no ${kind}`);
  return found;
};

const shared = find(join(base, 'config.yaml'), 'ConfigMap');
const secret = find(join(base, 'secret.example.yaml'), 'Secret');

/** The settings of a service as it shows them itself, with an environment. */
async function printConfig(service: string, env: Readonly<Record<string, string>>) {
  const main = join(root, 'services', service, 'src/main.ts');
  const options = { env: { PATH: process.env.PATH ?? '', ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, [main, '--print-config'], options);
  return new Map(
    stdout
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

describe.each(services)('the manifests of %s', (service) => {
  const file = join(base, `${service}.yaml`);
  const deployment = find(file, 'Deployment');
  const [container] = deployment.spec.template.spec.containers;
  if (!container) throw new Error(`${file} has no container`);
  const own = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));

  test('set only settings that the service has, to values that it takes', async () => {
    const { SERVICE, ...settings } = { ...shared.data, ...secret.stringData, ...own };
    expect(SERVICE).toBe(service);
    const shown = await printConfig(service, settings);
    expect(Object.keys(settings).filter((name) => !shown.has(name))).toEqual([]);
    for (const [name, value] of Object.entries(settings))
      expect([name, shown.get(name)]).toEqual([name, name in (secret.stringData ?? {}) ? '***' : value]);
    // A store that is not named would be a folder that goes with the pod.
    for (const needed of ['MONGODB_URL', 'BLOBS_URL', 'AUTH_TOKEN']) expect(shown.get(needed)).toBe('***');
  });

  test('agree on names and ports', () => {
    const port = Number(own.PORT);
    expect(deployment.metadata.name).toBe(service);
    expect(find(file, 'Service').metadata.name).toBe(service);
    expect(find(file, 'Service').spec.ports.map((p) => p.port)).toEqual([port]);
    expect(container.ports.map((p) => p.containerPort)).toEqual([port]);
    for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe])
      expect(probe.grpc.port).toBe(port);
    expect(Object.values(shared.data ?? {})).toContain(`${service}:${port}`);
    expect(container.envFrom.map((from) => from.configMapRef?.name ?? from.secretRef?.name)).toEqual([
      shared.metadata.name,
      secret.metadata.name,
    ]);
  });

  test('select the pods that they make, and let them drain', () => {
    const selector = { matchLabels: { 'app.kubernetes.io/name': service } };
    expect(deployment.spec.selector).toEqual(selector);
    expect(find(file, 'PodDisruptionBudget').spec.selector).toEqual(selector);
    expect(find(file, 'Service').spec.selector).toEqual(selector.matchLabels);
    expect(deployment.spec.template.metadata.labels).toMatchObject(selector.matchLabels);
    const graceMs = deployment.spec.template.spec.terminationGracePeriodSeconds * 1000;
    expect(graceMs).toBeGreaterThan(Number(shared.data?.DRAIN_MS) + 5000);
  });
});

test('every file that a kustomization names is there, and every manifest of the base is named', () => {
  for (const folder of [base, join(deploy, 'kubernetes/overlays/example')]) {
    const { resources } = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')) as {
      resources: string[];
    };
    for (const resource of resources.filter((name) => name.endsWith('.yaml')))
      expect(documents(join(folder, resource)).length).toBeGreaterThan(0);
    const left = readdirSync(folder).filter((name) => !resources.includes(name));
    expect(left.filter((name) => !['kustomization.yaml', 'secret.example.yaml'].includes(name))).toEqual([]);
  }
});

test('the container file and the manifests know the same services', () => {
  const text = readFileSync(join(deploy, 'Containerfile'), 'utf8');
  for (const service of services) expect(text).toContain(service);
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    optionalDependencies: Record<string, string>;
  };
  for (const version of Object.values(optionalDependencies)) expect(text).toContain(`node:${version}-`);
});

test('collector and Prometheus agree on where metrics are', () => {
  const collector = parse(readFileSync(join(deploy, 'otel-collector.yaml'), 'utf8')) as {
    receivers: { otlp: { protocols: { http: { endpoint: string } } } };
    exporters: Record<string, unknown> & { prometheus: { endpoint: string } };
    service: {
      pipelines: Record<string, { receivers: string[]; processors: string[]; exporters: string[] }>;
    };
    processors: Record<string, unknown>;
  };
  const prometheus = readFileSync(join(deploy, 'prometheus.yaml'), 'utf8');
  const portOf = (address: string) => address.slice(address.lastIndexOf(':'));
  expect(prometheus).toContain(`otel-collector${portOf(collector.exporters.prometheus.endpoint)}`);
  expect(portOf(shared.data?.OTEL_EXPORTER_OTLP_ENDPOINT ?? '')).toBe(
    portOf(collector.receivers.otlp.protocols.http.endpoint),
  );
  for (const pipeline of Object.values(collector.service.pipelines)) {
    for (const name of pipeline.exporters) expect(collector.exporters).toHaveProperty(name);
    for (const name of pipeline.processors) expect(collector.processors).toHaveProperty(name);
  }
});
