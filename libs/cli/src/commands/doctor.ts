import { command } from '../command.ts';
import type { Finding } from '../doctor/finding.ts';
import { checkDataDir, checkNats, checkNode, checkPorts } from '../doctor/machine.ts';
import { checkStorage } from '../doctor/storage.ts';
import { checkSuite } from '../doctor/suite.ts';

export const doctor = command({
  summary: 'Checks what is needed and what runs, and says how to fix what is wrong',
  args: [],
  options: {
    deep: {
      type: 'boolean',
      meaning:
        'Also let every service read all that it has stored and compare it with its digests and its record.',
    },
  },
  notes: ['Exit code 1 when something is wrong.'],
  run: async ({ options, globals, out }) => {
    const findings: Finding[] = [];
    const checks: readonly [string, () => Promise<readonly Finding[]>][] = [
      ['Node', async () => checkNode()],
      ['nats-server', () => checkNats(globals.env)],
      ['the data folder', () => checkDataDir(globals.dataDir)],
      ['ports', () => checkPorts(globals.dataDir)],
      ['the services', () => checkSuite(globals)],
      ['what is stored', () => checkStorage(globals, options.deep ?? false, (text) => out.progress(text))],
    ];
    for (const [what, check] of checks) {
      out.progress(`checking ${what} …`);
      for (const finding of await check()) {
        findings.push(finding);
        const mark = { good: out.good('✓'), note: out.dim('·'), bad: out.bad('✗') }[finding.state];
        out.line(`${mark} ${finding.text}`);
        if (finding.fix) out.line(`  → ${finding.fix}`);
      }
    }
    out.progress();
    const wrong = findings.filter(({ state }) => state === 'bad').length;
    out.document({ ok: wrong === 0, findings });
    out.line(wrong === 0 ? 'All is well.' : `${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong.`);
    return wrong === 0 ? 0 : 1;
  },
});
