/** One archive of the machine's apt configuration. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** The value of Signed-By as it stands: a path, a fingerprint, or an inline key of several lines. */
  readonly signedBy?: string;
}

/** Parses the deb822 format (`*.sources`). Source: sources.list(5). */
export function parseDeb822(text: string): AptSource[] {
  const stanzas = text
    .replace(/\r/g, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .split(/\n\s*\n/);
  return stanzas.flatMap((stanza) => {
    const fields = new Map<string, string>();
    let name = '';
    for (const line of stanza.split('\n')) {
      const field = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
      if (field) {
        name = field[1]!.toLowerCase();
        fields.set(name, field[2]!);
      } else if (/^\s/.test(line) && name) fields.set(name, `${fields.get(name)}\n${line}`);
    }
    if (!words(fields.get('types')).includes('deb') || /^(no|false|0)$/i.test(fields.get('enabled') ?? 'yes'))
      return [];
    const signedBy = fields.get('signed-by');
    return words(fields.get('uris')).map((uri) => ({
      uri,
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      ...(signedBy ? { signedBy } : {}),
    }));
  });
}

/** Parses the one-line format (`sources.list`, `*.list`): `deb [signed-by=…] uri suite component …`. */
export function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (!match) return [];
    const signedBy = /signed-by=(\S+)/i.exec(match[1] ?? '')?.[1];
    const source = { uri: match[2]!, suites: [match[3]!], components: words(match[4]) };
    return [signedBy ? { ...source, signedBy } : source];
  });
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

/** An archive and the newer suites to look into, in order. */
export interface AptPlan {
  readonly uri: string;
  readonly component: string;
  readonly suites: readonly string[];
  readonly signedBy?: string;
}

/** Newer suites by distribution, the most settled one with a recent server first. */
const newerSuites = {
  debian: { component: 'main', suites: ['forky', 'sid', 'trixie'] },
  ubuntu: { component: 'universe', suites: ['devel', 'questing', 'plucky'] },
} as const;

/**
 * Plans where a newer nats-server may come from: the archive that the machine's own release (`codename`) comes from.
 * Archives of third parties carry the codename too, so the path must name the distribution and `main` be offered.
 */
export function planApt(sources: readonly AptSource[], distribution: string, codename: string): AptPlan[] {
  if (distribution !== 'debian' && distribution !== 'ubuntu') return [];
  const { component, suites } = newerSuites[distribution];
  const plans = sources
    .filter((source) => source.suites.includes(codename) && source.components.includes('main'))
    .filter((source) => new RegExp(`/${distribution}(-ports)?/?$`).test(source.uri))
    .map(({ uri, signedBy }) => ({ uri, component, suites, ...(signedBy ? { signedBy } : {}) }));
  return plans.filter((plan, index) => plans.findIndex((other) => other.uri === plan.uri) === index);
}
