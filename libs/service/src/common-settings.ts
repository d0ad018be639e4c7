import { defineSettings, setting } from '@millrace/config';
import { logLevels } from '@millrace/telemetry';
import { z } from 'zod';

const address = z
  .string()
  .regex(/^[A-Za-z0-9_.[\]:-]+:\d{1,5}$/, 'host:port')
  .optional();

const peer = (service: string) =>
  setting({ schema: address, meaning: `Where ${service} listens, as host:port.` });

/** The settings every service has; a service spreads them into its own. */
export const commonSettings = defineSettings({
  HOST: setting({
    schema: z.string().min(1),
    default: '127.0.0.1',
    meaning: 'Address to listen on; others than loopback need AUTH_TOKEN.',
  }),
  PORT: setting({
    schema: z.coerce.number().int().min(0).max(65535),
    default: '0',
    meaning: 'Port to listen on; 0 takes a free one.',
  }),
  DATA_DIR: setting({
    schema: z.string().min(1),
    default: '.millrace',
    meaning: 'Folder for embedded storage; each service keeps a folder of its own in it.',
  }),
  MONGODB_URL: setting({
    schema: z
      .string()
      .regex(/^mongodb(\+srv)?:\/\//, 'mongodb://…')
      .optional(),
    meaning: 'MongoDB for documents; without one they are in SQLite under DATA_DIR.',
    secret: true,
  }),
  BLOBS_URL: setting({
    schema: z
      .string()
      .regex(/^(file:|s3\+https?:)/, 'file:<folder> or s3+http(s)://…')
      .optional(),
    meaning: 'Object store for blobs; without one they are files under DATA_DIR.',
    secret: true,
  }),
  NATS_URL: setting({
    schema: z.string().regex(/^(nats|tls|wss?):\/\//, 'nats://host:port'),
    default: 'nats://127.0.0.1:4222',
    meaning: 'Where NATS listens.',
    secret: true,
  }),
  LOG_LEVEL: setting({
    schema: z.enum(logLevels),
    default: 'info',
    meaning: `One of ${logLevels.join(', ')}.`,
  }),
  DRAIN_MS: setting({
    schema: z.coerce.number().int().min(0).max(600_000),
    default: '8000',
    meaning: 'How long calls under way may take to finish when the service stops, in milliseconds.',
  }),
  MAX_CONNECTIONS: setting({
    schema: z.coerce.number().int().min(1).max(1_000_000),
    default: '4096',
    meaning: 'Connections that may be open at once; more are closed as they come.',
  }),
  KEEPALIVE_MS: setting({
    schema: z.coerce.number().int().min(100).max(3_600_000),
    default: '30000',
    meaning:
      'How often each client is asked whether it is still there, in milliseconds; without an answer within a third of that it is gone.',
  }),
  EVENT_RETENTION_DAYS: setting({
    schema: z.coerce.number().int().min(1).max(36_500),
    default: '7',
    meaning: 'How long the record of events is kept, in days; what was not published yet is kept longer.',
  }),
  VERIFY_STORAGE_HOURS: setting({
    schema: z.coerce.number().int().min(1).max(8_760),
    default: '24',
    meaning: 'How often everything stored is read and compared with its digests, in hours.',
  }),
  AUTH_TOKEN: setting({
    schema: z.string().min(16).optional(),
    meaning: 'The bearer token every caller must bring, and that this service brings to others.',
    secret: true,
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting({
    schema: z.url().optional(),
    meaning: 'OTLP/HTTP collector for traces and metrics; without one nothing is exported.',
  }),
  TRACKING_ADDRESS: peer('tracking'),
  REGISTRY_ADDRESS: peer('registry'),
  FEATURES_ADDRESS: peer('feature-store'),
  PIPELINES_ADDRESS: peer('orchestrator'),
  SERVING_ADDRESS: peer('serving'),
  MONITORING_ADDRESS: peer('monitoring'),
});
