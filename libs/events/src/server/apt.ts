import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AptPlan, parseDeb822, parseOneLine, planApt } from './apt-sources.ts';
import { runCommand, versionOf } from './command.ts';
import { judgeVersion } from './version.ts';

/** Tells a person how the search goes, a line at a time. */
export type Progress = (line: string) => void;

/** A server that was unpacked into a folder of its own, ready to be moved into the cache. */
export interface Prepared {
  readonly folder: string;
  readonly version: string;
}

/**
 * Gets a server through the machine's own apt configuration, from a newer suite of its own archive, into `work`.
 * Needs no root: apt's lists, cache and state all lie in that folder. Undefined when this machine has no apt, no
 * fitting archive, or none of the suites has a usable server.
 */
export async function fetchByApt(work: string, progress: Progress): Promise<Prepared | undefined> {
  return fetchFrom(work, progress, (plan) => plan.suites, isUsable);
}

/** Looks into the suites of each plan, in order, for a server of a wanted version. */
export async function fetchFrom(
  work: string,
  progress: Progress,
  suitesOf: (plan: AptPlan) => readonly string[],
  isWanted: (version: string) => boolean,
): Promise<Prepared | undefined> {
  if (process.platform !== 'linux') return undefined;
  const aptGet = await runCommand('apt-get', ['--version'], { timeoutMs: 10_000 });
  if (!aptGet.ok) return undefined;
  for (const plan of await readPlans())
    for (const suite of suitesOf(plan)) {
      progress(`fetching nats-server from ${plan.uri} (${suite}) with apt, into a private folder …`);
      const folder = join(work, `apt-${suite}`);
      const prepared = await fetchSuite(folder, plan, suite, isWanted, progress);
      if (prepared) return prepared;
    }
  return undefined;
}

async function readPlans(): Promise<AptPlan[]> {
  const read = (path: string) => readFile(path, 'utf8').catch(() => '');
  const release = await read('/etc/os-release');
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(release)?.[1] ?? '';
  const parts = '/etc/apt/sources.list.d';
  const names = await readdir(parts).catch((): string[] => []);
  const sources = parseOneLine(await read('/etc/apt/sources.list'));
  for (const name of names.sort())
    if (name.endsWith('.sources')) sources.push(...parseDeb822(await read(join(parts, name))));
    else if (name.endsWith('.list')) sources.push(...parseOneLine(await read(join(parts, name))));
  return planApt(sources, field('ID'), field('VERSION_CODENAME'));
}

const isUsable = (version: string) => judgeVersion(version).usable;

async function fetchSuite(
  folder: string,
  plan: AptPlan,
  suite: string,
  isWanted: (version: string) => boolean,
  progress: Progress,
): Promise<Prepared | undefined> {
  const options = await writeConfiguration(folder, plan, suite);
  const apt = (timeoutMs: number, ...args: string[]) =>
    runCommand('apt-get', [...options, ...args], {
      cwd: folder,
      timeoutMs,
      env: { ...process.env, LC_ALL: 'C' },
    });
  const updated = await apt(120_000, 'update');
  if (!updated.ok) return miss(`its index could not be read: ${lastLine(updated.output)}`);
  const downloaded = await apt(180_000, 'download', 'nats-server');
  const deb = (await readdir(folder)).find((name) => name.endsWith('.deb'));
  if (!deb) return miss(`it has no nats-server: ${lastLine(downloaded.output)}`);
  const unpacked = join(folder, 'unpacked');
  const opened = await runCommand('dpkg-deb', ['-x', deb, unpacked], { cwd: folder, timeoutMs: 60_000 });
  if (!opened.ok) return miss(`the package could not be unpacked: ${lastLine(opened.output)}`);
  const binary = await findBinary(unpacked);
  const version = binary ? await versionOf(binary) : undefined;
  if (!binary || !version) return miss('its nats-server does not run on this machine');
  if (!isWanted(version)) return miss(`its nats-server ${version} is not the wanted one`);
  const prepared = join(folder, 'prepared');
  await mkdir(prepared);
  await rename(binary, join(prepared, 'nats-server'));
  await rm(unpacked, { recursive: true, force: true });
  return { folder: prepared, version };

  function miss(reason: string): undefined {
    progress(`  ${suite}: ${reason}`);
    return undefined;
  }
}

/** Debian installs the program in /usr/sbin, others in /usr/bin. */
async function findBinary(root: string): Promise<string | undefined> {
  for (const place of ['usr/sbin', 'usr/bin']) {
    const names = await readdir(join(root, place)).catch((): string[] => []);
    if (names.includes('nats-server')) return join(root, place, 'nats-server');
  }
  return undefined;
}

/** Index files that are not needed to fetch one package. */
const skippedTargets = ['DEP-11', 'Translations', 'Contents-deb', 'Contents-udeb', 'CommandNotFound'];

/** Writes the private configuration and returns the options that make apt use it, and nothing of the system's state. */
async function writeConfiguration(folder: string, plan: AptPlan, suite: string): Promise<string[]> {
  for (const path of ['lists/partial', 'cache/archives/partial', 'parts'])
    await mkdir(join(folder, path), { recursive: true });
  const signedBy = plan.signedBy ? `Signed-By: ${plan.signedBy}\n` : '';
  const source = `Types: deb\nURIs: ${plan.uri}\nSuites: ${suite}\nComponents: ${plan.component}\n${signedBy}`;
  await writeFile(join(folder, 'parts', 'nats.sources'), source);
  await writeFile(join(folder, 'status'), '');
  // The machine's hooks after an update concern its own caches.
  const hooks = ['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'];
  await writeFile(join(folder, 'apt.conf'), hooks.map((hook) => `#clear ${hook};\n`).join(''));
  const settings = [
    'Dir::Etc::sourcelist=/dev/null',
    `Dir::Etc::sourceparts=${join(folder, 'parts')}`,
    `Dir::State=${folder}`,
    `Dir::State::lists=${join(folder, 'lists')}`,
    `Dir::State::status=${join(folder, 'status')}`,
    `Dir::Cache=${join(folder, 'cache')}`,
    'APT::Sandbox::User=',
    'Acquire::Languages=none',
    'Acquire::Retries=1',
    'Acquire::http::Timeout=15',
    'Acquire::https::Timeout=15',
    ...skippedTargets.map((target) => `Acquire::IndexTargets::deb::${target}::DefaultEnabled=false`),
  ];
  return ['-q', '-c', join(folder, 'apt.conf'), ...settings.flatMap((setting) => ['-o', setting])];
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
