import type { Config, SettingRows } from './settings.ts';

/** The settings as lines of an environment file, each under its meaning; secrets are masked. */
export function printConfig<R extends SettingRows>(rows: R, config: Config<R>): string {
  const lines: string[] = [];
  for (const [name, row] of Object.entries(rows)) {
    const value = config[name];
    const shown = value === undefined ? '' : row.secret ? '***' : String(value);
    lines.push(
      `# ${row.meaning}${row.default === undefined ? '' : ` Default: ${row.default}`}`,
      `${name}=${shown}`,
    );
  }
  return `${lines.join('\n')}\n`;
}
