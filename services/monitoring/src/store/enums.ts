import {
  AlertState,
  Comparison,
  Correction,
  DriftMethod,
  Severity,
  Task,
} from '@millrace/contracts/monitoring';
import type { AlertRule } from '../domain/alert.ts';
import type { Correction as CorrectionName } from '../domain/drift/correction.ts';
import type { Method } from '../domain/drift/method.ts';
import type { PredictionRule, Severity as SeverityName } from '../domain/monitor.ts';

/** One table for each enum: our word ⇄ the number on the wire. */
function table<K extends string, E extends number>(rows: Readonly<Record<K, E>>) {
  return {
    toWire: (word: K): E => rows[word],
    fromWire: (value: E): K | undefined => (Object.keys(rows) as K[]).find((word) => rows[word] === value),
  };
}

export const methodTable = table<Method, DriftMethod>({
  ks: DriftMethod.KS,
  psi: DriftMethod.PSI,
  wasserstein: DriftMethod.WASSERSTEIN,
  'jensen-shannon': DriftMethod.JENSEN_SHANNON,
  'chi-square': DriftMethod.CHI_SQUARE,
});

export const correctionTable = table<CorrectionName, Correction>({
  none: Correction.NONE,
  bonferroni: Correction.BONFERRONI,
  'benjamini-hochberg': Correction.BENJAMINI_HOCHBERG,
});

export const taskTable = table<PredictionRule['task'], Task>({
  'binary-classification': Task.BINARY_CLASSIFICATION,
  regression: Task.REGRESSION,
});

export const comparisonTable = table<AlertRule['comparison'], Comparison>({
  'at-least': Comparison.GREATER_OR_EQUAL,
  'at-most': Comparison.LESS_OR_EQUAL,
});

export const severityTable = table<SeverityName, Severity>({
  info: Severity.INFO,
  warning: Severity.WARNING,
  critical: Severity.CRITICAL,
});

export const alertStateTable = table<'raised' | 'resolved', AlertState>({
  raised: AlertState.RAISED,
  resolved: AlertState.RESOLVED,
});
