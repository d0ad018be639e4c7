import { defineEvent } from './event-type.ts';
import {
  AlertRaisedSchema,
  AlertResolvedSchema,
  BaselineCreatedSchema,
  DriftDetectedSchema,
  GroundTruthLoggedSchema,
  MonitorAppliedSchema,
  MonitorDeletedSchema,
  PerformanceMeasuredSchema,
  ReportCreatedSchema,
} from './monitoring.ts';

/** What monitoring says. */
export const monitoringEvents = {
  monitorApplied: defineEvent('monitoring', 'monitor.applied', MonitorAppliedSchema),
  monitorDeleted: defineEvent('monitoring', 'monitor.deleted', MonitorDeletedSchema),
  baselineCreated: defineEvent('monitoring', 'baseline.created', BaselineCreatedSchema),
  reportCreated: defineEvent('monitoring', 'report.created', ReportCreatedSchema),
  driftDetected: defineEvent('monitoring', 'drift.detected', DriftDetectedSchema),
  performanceMeasured: defineEvent('monitoring', 'performance.measured', PerformanceMeasuredSchema),
  alertRaised: defineEvent('monitoring', 'alert.raised', AlertRaisedSchema),
  alertResolved: defineEvent('monitoring', 'alert.resolved', AlertResolvedSchema),
  groundTruthLogged: defineEvent('monitoring', 'ground_truth.logged', GroundTruthLoggedSchema),
} as const;
