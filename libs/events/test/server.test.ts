import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkVersion, judgeVersion, startNatsServer } from '../src/index.ts';
import { parseDeb822, parseOneLine, planApt } from '../src/server/apt-sources.ts';
import { withLock } from '../src/server/cache.ts';
import { digestIn } from '../src/server/release.ts';
import { compareVersions } from '../src/server/version.ts';

test.each(['2.9.10', '1.4.1', '2.9.99', 'v2.9.0', '', 'unknown'])(
  'version %j is refused and says what to do',
  (version) => {
    expect(judgeVersion(version).usable).toBe(false);
    expect(() => checkVersion(version)).toThrow(/NATS_URL/);
    expect(() => checkVersion(version)).toThrow(expect.objectContaining({ code: 'NATS_TOO_OLD' }));
  },
);

test('2.10 is usable with advice, 2.14 without', () => {
  expect(judgeVersion('2.10.20')).toMatchObject({ usable: true, advice: expect.stringContaining('crash') });
  expect(judgeVersion('2.10.27')).toMatchObject({ usable: true, advice: expect.stringContaining('2.14') });
  expect(judgeVersion('v2.15.1')).toEqual({ usable: true });
});

test('versions order by number, not by text', () => {
  const part = fc.nat({ max: 200 });
  fc.assert(
    fc.property(fc.tuple(part, part, part), fc.tuple(part, part, part), (a, b) => {
      const order = a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
      expect(Math.sign(compareVersions(a.join('.'), b.join('.')))).toBe(Math.sign(order));
    }),
  );
});

const debian = `# comment
Types: deb
# another
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://download.docker.com/linux/debian
Suites: bookworm
Components: stable
`;

test('the archive of the machine itself is found among deb822 sources', () => {
  expect(planApt(parseDeb822(debian), 'debian', 'bookworm')).toEqual([
    {
      uri: 'http://mirror.example/debian',
      component: 'main',
      suites: ['forky', 'sid', 'trixie'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    },
  ]);
});

test('an inline key is kept as it stands', () => {
  const text =
    'Types: deb\nURIs: http://m/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n';
  expect(parseDeb822(text)[0]?.signedBy).toBe('\n -----BEGIN\n .\n abc');
});

test('the archive is found among one-line sources', () => {
  const text = `deb-src http://archive.ubuntu.com/ubuntu noble main
deb [arch=amd64 signed-by=/k.gpg] http://archive.ubuntu.com/ubuntu/ noble main restricted # comment
deb http://archive.ubuntu.com/ubuntu/ noble-updates main`;
  const plans = planApt(parseOneLine(text), 'ubuntu', 'noble');
  expect(plans).toMatchObject([
    { uri: 'http://archive.ubuntu.com/ubuntu/', component: 'universe', signedBy: '/k.gpg' },
  ]);
});

test('other distributions have no plan', () => {
  expect(planApt(parseDeb822(debian), 'fedora', 'bookworm')).toEqual([]);
});

test('the digest of a file is read from SHA256SUMS', () => {
  const sums = `${'a'.repeat(64)}  other.tar.gz\n${'B'.repeat(64)} *wanted.tar.gz\n`;
  expect(digestIn(sums, 'wanted.tar.gz')).toBe('b'.repeat(64));
  expect(digestIn(sums, 'missing.tar.gz')).toBeUndefined();
});

test('one at a time holds the lock', async () => {
  await using folder = tempDir();
  let running = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
  };
  await Promise.all([1, 2, 3].map(() => withLock(folder.path, work)));
  expect(most).toBe(1);
});

test('an old server is not started', async () => {
  await using folder = tempDir();
  const server = { path: '/nowhere/nats-server', version: '2.9.10', from: 'path' } as const;
  await expect(startNatsServer({ dataDir: folder.path, server })).rejects.toMatchObject({
    code: 'NATS_TOO_OLD',
  });
});

test('a second server on the same folder is refused while the first one lives', async () => {
  await using folder = tempDir();
  const first = await startNatsServer({ dataDir: folder.path });
  try {
    await expect(startNatsServer({ dataDir: folder.path })).rejects.toMatchObject({
      code: 'NATS_NOT_STARTED',
    });
  } finally {
    await first.stop();
  }
  const second = await startNatsServer({ dataDir: folder.path });
  expect(second.version).toMatch(/^\d+\.\d+/);
  await second.stop();
});

test('a server that cannot start says why', async () => {
  await using folder = tempDir();
  const first = await startNatsServer({ dataDir: `${folder.path}/a` });
  const taken = startNatsServer({ dataDir: `${folder.path}/b`, port: first.port });
  await expect(taken).rejects.toThrow(/address already in use/);
  await first.stop();
});
