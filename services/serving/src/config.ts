import { defineSettings, setting } from '@millrace/config';
import { commonSettings } from '@millrace/service';
import { z } from 'zod';

const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

/** The largest message that is taken or given, in bytes; libs/onnx refuses models whose inputs or outputs are larger. */
export const maxMessageBytes = 80 * 1024 ** 2;

/** The settings of serving. */
export const settings = defineSettings({
  ...commonSettings,
  WORKERS: setting({
    schema: whole(0, 256),
    default: '0',
    meaning: 'Worker threads that run models; 0 means one for each processor.',
  }),
  MAX_MODEL_BYTES: setting({
    schema: whole(1, 2 ** 31 - 1),
    default: String(1024 ** 3),
    meaning: 'The largest model file that is loaded, in bytes.',
  }),
  MODEL_CACHE_BYTES: setting({
    schema: whole(0, Number.MAX_SAFE_INTEGER),
    default: String(16 * 1024 ** 3),
    meaning:
      'What fetched model files may take on disk; those that answer nobody and were used longest ago go.',
  }),
  MEMORY_BUDGET_BYTES: setting({
    schema: whole(1, Number.MAX_SAFE_INTEGER),
    default: String(4 * 1024 ** 3),
    meaning: 'Memory that loaded models may take together; the least recently used make room.',
  }),
  MAX_LOADED_MODELS: setting({
    schema: whole(0, 1_000_000),
    default: '0',
    meaning:
      'Most models in memory at the same time; the least recently used make room. 0 means as many as MEMORY_BUDGET_BYTES holds.',
  }),
  MAX_REQUEST_BYTES: setting({
    schema: whole(1, 2 ** 31 - 1),
    default: String(64 * 1024 ** 2),
    meaning: 'The largest inputs of one inference request, in bytes.',
  }),
  MAX_PENDING_BYTES: setting({
    schema: whole(1, Number.MAX_SAFE_INTEGER),
    default: String(512 * 1024 ** 2),
    meaning: 'The inputs of all requests under way together, in bytes; beyond it requests are refused.',
  }),
  RUN_TIMEOUT_MS: setting({
    schema: whole(10, 3_600_000),
    default: '30000',
    meaning: 'How long one run of a model may take before its worker is replaced, in milliseconds.',
  }),
  LOAD_TIMEOUT_MS: setting({
    schema: whole(100, 3_600_000),
    default: '120000',
    meaning: 'How long fetching a model, and loading it into a worker, may take, in milliseconds.',
  }),
  MODEL_ARENA: setting({
    schema: z.stringbool(),
    default: 'false',
    meaning:
      'Lets the runtime keep its largest working memory: faster for few large models, costly for many.',
  }),
  WORKER_HEAP_MB: setting({
    schema: whole(16, 65_536),
    default: '512',
    meaning: 'JavaScript heap of each worker thread, in MiB; models are outside of it.',
  }),
  LOG_FLUSH_MS: setting({
    schema: whole(10, 60_000),
    default: '500',
    meaning: 'How often sampled inferences and shadows are written to the log, in milliseconds.',
  }),
  LOG_BUFFER_BYTES: setting({
    schema: whole(1024, Number.MAX_SAFE_INTEGER),
    default: String(64 * 1024 ** 2),
    meaning:
      'Inferences that may wait for the log, in bytes; beyond it requests are refused, samples dropped.',
  }),
  FEATURES_TIMEOUT_MS: setting({
    schema: whole(1, 600_000),
    default: '5000',
    meaning: 'How long a feature look-up may take, in milliseconds.',
  }),
  REGISTRY_POLL_MS: setting({
    schema: whole(100, 3_600_000),
    default: '15000',
    meaning: 'How often the registry is asked where aliases point, beside its events, in milliseconds.',
  }),
});
