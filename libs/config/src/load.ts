import { CodedError, type FieldViolation } from '@millrace/errors';
import type { Config, SettingRows } from './settings.ts';

/**
 * Reads settings from an environment. Reports every problem at once, so that one start shows all that is to be
 * fixed; empty text counts as absent. Throws INVALID_FIELD with one violation for each setting at fault.
 */
export function loadSettings<R extends SettingRows>(rows: R, env: Readonly<NodeJS.ProcessEnv>): Config<R> {
  const config: Record<string, unknown> = {};
  const violations: FieldViolation[] = [];
  for (const [name, row] of Object.entries(rows)) {
    const text = env[name] === '' ? undefined : env[name];
    const read = row.schema.safeParse(text ?? row.default);
    if (read.success) {
      config[name] = read.data;
      continue;
    }
    const wrong =
      text === undefined ? 'is not set' : row.secret ? 'has a wrong value' : `is ${JSON.stringify(text)}`;
    const allowed = read.error.issues.map((issue) => issue.message).join('; ');
    violations.push({ field: name, description: `${wrong}: ${allowed}. It means: ${row.meaning}` });
  }
  if (violations.length > 0) {
    const list = violations.map((v) => `  ${v.field} ${v.description}`).join('\n');
    const count = violations.length === 1 ? 'One setting is' : `${violations.length} settings are`;
    throw new CodedError('invalid_argument', 'INVALID_FIELD', `${count} wrong:\n${list}`, { violations });
  }
  return config as Config<R>;
}
