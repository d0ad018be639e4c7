import { dirname, join, normalize } from 'node:path';
import { type Source, sources } from './sources.ts';

const importPattern = /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s+'([^']+)'|import\('([^']+)'\)/g;

/** The layers of a service and their ranks; a file may import its own rank and those below. */
const layers = { domain: 0, store: 1, subscriptions: 2, handlers: 2, jobs: 2, wiring: 3, main: 4 } as const;
type Layer = keyof typeof layers;

/**
 * The dependency rule: domain ← store, handlers, subscriptions ← wiring ← main; domain imports only itself and
 * libs/errors; services never import services; nobody imports another package's inner files; libs never import services.
 */
export async function dependencyRule(root: string): Promise<string> {
  return sources(root, '.ts').flatMap(wrongImports).join('\n');
}

function wrongImports({ path, text }: Source): string[] {
  const home = /^(libs|services)\/([^/]+)\/(src|test)\//.exec(path);
  if (!home) return [];
  const [, kind, name, part] = home;
  const wrong: string[] = [];
  for (const match of text.matchAll(importPattern)) {
    const target = match[1] ?? match[2] ?? '';
    const refuse = (why: string) => wrong.push(`${path} imports ${target}: ${why}`);
    if (target.startsWith('.')) {
      const file = normalize(join(dirname(path), target)).replaceAll('\\', '/');
      if (part === 'src' && !file.startsWith(`${kind}/${name}/`)) refuse('it leaves its package');
      if (kind === 'services' && part === 'src' && name) layerRule(path, file, name, refuse);
      continue;
    }
    if (/^@millrace\/(tracking|registry|feature-store|orchestrator|serving|monitoring)(\/|$)/.test(target)) {
      refuse('services are reached by their contracts only');
    }
    if (/^@millrace\/[^/]+\//.test(target) && !target.startsWith('@millrace/contracts/')) {
      refuse('a package is entered by its index only');
    }
    if (
      kind === 'services' &&
      part === 'src' &&
      layerOf(path, name ?? '') === 'domain' &&
      target !== '@millrace/errors'
    ) {
      if (!domainLibraries.has(target))
        refuse('the domain is pure: itself, libs/errors and pure libraries only');
    }
  }
  return wrong;
}

/** Pure libraries that a domain may use: expressions and cron arithmetic. */
const domainLibraries = new Set(['@bufbuild/cel', 'croner']);

function layerRule(path: string, file: string, service: string, refuse: (why: string) => void): void {
  const from = layerOf(path, service);
  const to = layerOf(file, service);
  if (!from || !to || from === to) return;
  if (layers[to] > layers[from]) refuse(`${from} must not know ${to}`);
}

function layerOf(path: string, service: string): Layer | undefined {
  const inner = path.slice(`services/${service}/src/`.length);
  return (Object.keys(layers) as Layer[]).find(
    (layer) => inner === `${layer}.ts` || inner.startsWith(`${layer}/`),
  );
}
