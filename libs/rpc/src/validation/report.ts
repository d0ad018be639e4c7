import { type FieldViolation, invalidFields } from '@millrace/errors';

/** How many violations one answer tells. */
const maxViolations = 20;

/** Where a validation is and what it found. */
export interface Report {
  /** Field names, list indexes and map keys (as they are to be shown) down to the value being checked. */
  readonly path: (string | number)[];
  readonly found: FieldViolation[];
}

/** Checks one value at the report's path. */
export type Check = (value: unknown, report: Report) => void;

/** Notes that the value at the report's path breaks a rule. */
export function violate(report: Report, wrong: string, allowed: string): void {
  if (isFull(report)) return;
  let field = '';
  for (const step of report.path) {
    if (typeof step === 'number') field += `[${step}]`;
    else if (step.startsWith('[')) field += step;
    else field += field === '' ? step : `.${step}`;
  }
  report.found.push({ field, description: `${wrong}; allowed: ${allowed}` });
}

/** Whether enough was found. */
export function isFull(report: Report): boolean {
  return report.found.length >= maxViolations;
}

/** Throws what was found, if anything. */
export function settle(report: Report): void {
  if (report.found.length > 0) throw invalidFields(report.found);
}

/** A text as it is shown in a message: quoted, and cut when long. */
export function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
