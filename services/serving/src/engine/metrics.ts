import { metrics } from '@opentelemetry/api';
import type { EngineStats } from './engine.ts';

/** Shows an engine's numbers to whoever collects metrics; what it returns ends that. */
export function observeEngine(stats: EngineStats): () => void {
  const meter = metrics.getMeter('millrace.serving');
  const models = meter.createObservableGauge('millrace.serving.models.loaded', {
    unit: '{model}',
    description: 'Models in memory.',
  });
  const memory = meter.createObservableGauge('millrace.serving.models.memory', {
    unit: 'By',
    description: 'Memory of loaded models, as measured at loading.',
  });
  const loads = meter.createObservableCounter('millrace.serving.model.loads', {
    unit: '{load}',
    description: 'Loads of models, also again after they made room; by outcome.',
  });
  const evictions = meter.createObservableCounter('millrace.serving.model.evictions', {
    unit: '{model}',
    description: 'Models that made room for others.',
  });
  const all = [models, memory, loads, evictions];
  const observe = (result: Parameters<Parameters<typeof meter.addBatchObservableCallback>[0]>[0]) => {
    result.observe(models, stats.models);
    result.observe(memory, stats.memoryBytes);
    result.observe(loads, stats.loads, { outcome: 'loaded' });
    result.observe(loads, stats.failedLoads, { outcome: 'failed' });
    result.observe(evictions, stats.evictions);
  };
  meter.addBatchObservableCallback(observe, all);
  return () => meter.removeBatchObservableCallback(observe, all);
}
