import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import type {
  AlertRule as AlertRuleMessage,
  DriftSpec,
  Monitor as MonitorMessage,
  WindowSpec,
} from '@millrace/contracts/monitoring';
import { type CodedError, type FieldViolation, invalidField, invalidFields } from '@millrace/errors';
import type { DriftRule } from '../domain/drift/judge.ts';
import type { MonitorRule, MonitorSpec } from '../domain/monitor.ts';
import { metricFault } from '../domain/report.ts';
import { comparisonTable, correctionTable, methodTable, severityTable, taskTable } from '../store/enums.ts';

const dayMs = 24 * 3_600_000;

/** Wire → domain, defaults filled in. INVALID_FIELD with every field at fault. */
export function toSpec(message: MonitorMessage): MonitorSpec {
  const violations: FieldViolation[] = [];
  const { project } = names.monitor.parse(message.name, 'monitor.name');
  const deployment = names.deployment.parse(message.deployment, 'monitor.deployment');
  const baseline = message.baseline ? names.baseline.parse(message.baseline, 'monitor.baseline') : undefined;
  const refuse = (error: CodedError) => violations.push(...error.violations);
  const window = toWindow(message.window, refuse);
  const rules = message.alertRules.map((rule, i) => toRule(rule, `monitor.alert_rules[${i}]`, refuse));
  for (const [i, rule] of rules.entries()) {
    if (rules.findIndex((other) => other.id === rule.id) < i) {
      refuse(invalidField(`monitor.alert_rules[${i}].id`, `${rule.id} stands twice`, 'each id once'));
    }
  }
  for (const [field, segments] of Object.entries({ deployment, baseline })) {
    if (segments && segments.project !== project)
      refuse(invalidField(`monitor.${field}`, `is of project ${segments.project}`, `one of ${project}`));
  }
  if (violations.length > 0) throw invalidFields(violations);
  const task = message.prediction && taskTable.fromWire(message.prediction.task);
  const prediction =
    message.prediction && task
      ? { task, column: message.prediction.column, threshold: message.prediction.threshold ?? 0.5 }
      : undefined;
  return {
    deployment: names.deployment.format(deployment),
    baseline: baseline ? names.baseline.format(baseline) : '',
    window,
    drift: toDrift(message.drift),
    ...(prediction ? { prediction } : {}),
    rules,
    paused: message.paused,
    description: message.description,
    tags: message.tags.map(({ key, value }) => [key, value] as const),
  };
}

function toWindow(
  window: WindowSpec | undefined,
  refuse: (error: CodedError) => void,
): MonitorSpec['window'] {
  const length = ms(window?.length);
  if (length < 1000 || length > 90 * dayMs || length % 1000 !== 0) {
    refuse(invalidField('monitor.window.length', `is ${length} ms`, 'whole seconds from 1 s to 90 d'));
  }
  const spans = {
    offset: ms(window?.offset),
    lateness: ms(window?.lateness),
    label_delay: ms(window?.labelDelay, dayMs),
    idle_timeout: ms(window?.idleTimeout, length),
  };
  for (const [name, value] of Object.entries(spans)) {
    if (value < 0 || value > 365 * dayMs || value % 1000 !== 0) {
      refuse(invalidField(`monitor.window.${name}`, `is ${value} ms`, 'whole seconds from 0 to 365 d'));
    }
  }
  return {
    lengthMs: length,
    offsetMs: spans.offset,
    latenessMs: spans.lateness,
    labelDelayMs: spans.label_delay,
    minRows: window?.minRows || 100,
    ...(window?.idleTimeout ? { idleMs: spans.idle_timeout } : {}),
  };
}

function toDrift(drift: DriftSpec | undefined): DriftRule {
  const method = drift && methodTable.fromWire(drift.method);
  return {
    columns: drift?.columns ?? [],
    ...(method ? { method } : {}),
    ...(drift?.threshold === undefined ? {} : { threshold: drift.threshold }),
    overrides: (drift?.overrides ?? []).flatMap(({ column, method: own, threshold }) => {
      const word = methodTable.fromWire(own);
      return word ? [{ column, method: word, ...(threshold === undefined ? {} : { threshold }) }] : [];
    }),
    share: drift?.share ?? 0.5,
    correction: (drift && correctionTable.fromWire(drift.correction)) ?? 'bonferroni',
  };
}

function toRule(rule: AlertRuleMessage, path: string, refuse: (error: CodedError) => void): MonitorRule {
  const comparison = comparisonTable.fromWire(rule.comparison) ?? 'at-least';
  const resolveThreshold = rule.resolveThreshold ?? rule.threshold;
  const fault = metricFault(rule.metric);
  if (fault) {
    const allowed =
      'drift.share, drift.columns, drift.column.<name>, prediction.drift, prediction.mean, quality.rows, quality.nulls.<name>, quality.out_of_range.<name>, quality.new_categories.<name>, performance.<metric>, performance.<metric>.change';
    refuse(invalidField(`${path}.metric`, fault, allowed));
  }
  if (comparison === 'at-least' ? resolveThreshold > rule.threshold : resolveThreshold < rule.threshold) {
    const allowed = comparison === 'at-least' ? `at most ${rule.threshold}` : `at least ${rule.threshold}`;
    refuse(invalidField(`${path}.resolve_threshold`, `is ${resolveThreshold}`, allowed));
  }
  return {
    id: rule.id,
    metric: rule.metric,
    comparison,
    threshold: rule.threshold,
    raiseAfter: rule.raiseAfter || 1,
    resolveThreshold,
    resolveAfter: rule.resolveAfter || 1,
    severity: severityTable.fromWire(rule.severity) ?? 'warning',
    description: rule.description,
  };
}

function ms(duration: Duration | undefined, absent = 0): number {
  return duration ? durationMs(duration) : absent;
}
