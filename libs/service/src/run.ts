import { loadSettings, printConfig, type SettingRows } from '@millrace/config';
import { type CodedError, from } from '@millrace/errors';
import { createLogger, setUpTelemetry } from '@millrace/telemetry';
import type { CommonConfig, ServiceSpec } from './service.ts';
import { type RunningService, startService } from './start.ts';

/** The line a service prints on standard output when it answers. */
export interface ReadyLine {
  readonly ready: true;
  readonly service: string;
  readonly address: string;
}

/**
 * The life of a service's process: settings, start, one ready line on standard output, and a gentle stop on SIGTERM,
 * SIGINT, or when the process that supervises it is gone. Exits 0 after a gentle stop, 1 when it could not start or
 * its storage failed, 2 for wrong settings. `--print-config` shows the settings and ends.
 */
export async function runService<R extends SettingRows>(spec: ServiceSpec<R>): Promise<void> {
  const config = readSettings(spec);
  if (!config) return;
  const log = createLogger({ service: spec.name, level: config.LOG_LEVEL });
  const stopTelemetry = await setUpTelemetry({
    service: spec.name,
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
  });
  const fatal = (error: CodedError) => {
    log.error({ err: error }, 'the service cannot go on; restart it when its storage is sound');
    process.exit(1);
  };
  process.on('uncaughtException', (err) => fatal(from(err)));
  process.on('unhandledRejection', (err) => fatal(from(err)));

  let service: RunningService | undefined;
  let stopped = false;
  const stop = async () => {
    if (stopped) return process.exit(1);
    stopped = true;
    await service?.stop();
    await stopTelemetry();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  process.on('disconnect', () => void stop());

  try {
    service = await startService(spec, { config, log, onFatal: fatal });
  } catch (error) {
    log.error({ err: error }, `${spec.name} could not start: ${from(error).message}`);
    process.exit(1);
  }
  const line: ReadyLine = { ready: true, service: spec.name, address: service.address };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function readSettings<R extends SettingRows>(spec: ServiceSpec<R>) {
  try {
    const config = loadSettings(spec.settings, process.env) as ReturnType<typeof loadSettings<R>> &
      CommonConfig;
    if (!process.argv.includes('--print-config')) return config;
    process.stdout.write(printConfig(spec.settings, config));
  } catch (error) {
    process.stderr.write(`${from(error).message}\n`);
    process.exitCode = 2;
  }
  return undefined;
}
