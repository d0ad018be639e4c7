/** A metric's name and value; only finite values are listed. */
export type MetricValue = readonly [key: string, value: number];

/** Answers and what really happened, row by row. */
export interface Labelled {
  readonly scores: Float64Array;
  readonly labels: Float64Array;
}

/** Probabilities are clipped by this much before a logarithm is taken. */
const clip = 1e-7;

/** How good the probabilities of a yes were; labels are 0 or 1. Scores from `threshold` on count as yes. */
export function classification({ scores, labels }: Labelled, threshold: number): MetricValue[] {
  const n = scores.length;
  let loss = 0;
  let squared = 0;
  const cells = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (let i = 0; i < n; i++) {
    const p = Math.min(Math.max(scores[i]!, clip), 1 - clip);
    const yes = labels[i]! !== 0;
    loss -= yes ? Math.log(p) : Math.log1p(-p);
    squared += (scores[i]! - (yes ? 1 : 0)) ** 2;
    const said = scores[i]! >= threshold;
    cells[yes ? (said ? 'tp' : 'fn') : said ? 'fp' : 'tn']++;
  }
  const { tp, fp, fn, tn } = cells;
  return finite([
    ['auc', areaUnderCurve(scores, labels)],
    ['log_loss', loss / n],
    ['brier', squared / n],
    ['accuracy', (tp + tn) / n],
    ['precision', tp / (tp + fp)],
    ['recall', tp / (tp + fn)],
    ['f1', (2 * tp) / (2 * tp + fp + fn)],
    ['base_rate', (tp + fn) / n],
  ]);
}

/** How far the predicted numbers were off, in their unit. */
export function regression({ scores, labels }: Labelled): MetricValue[] {
  const n = scores.length;
  const mean = labels.reduce((sum, y) => sum + y, 0) / n;
  let absolute = 0;
  let squared = 0;
  let signed = 0;
  let spread = 0;
  for (let i = 0; i < n; i++) {
    const error = scores[i]! - labels[i]!;
    absolute += Math.abs(error);
    squared += error ** 2;
    signed += error;
    spread += (labels[i]! - mean) ** 2;
  }
  return finite([
    ['mae', absolute / n],
    ['rmse', Math.sqrt(squared / n)],
    ['mean_error', signed / n],
    ['r2', 1 - squared / spread],
  ]);
}

/** The probability that a yes scores above a no, ties counting half. Source: Hanley and McNeil, Radiology 143 (1982). */
function areaUnderCurve(scores: Float64Array, labels: Float64Array): number {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]!);
  let positives = 0;
  let rankSum = 0;
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    const rank = (start + end + 1) / 2;
    for (let i = start; i < end; i++) {
      if (labels[order[i]!] === 0) continue;
      positives++;
      rankSum += rank;
    }
  }
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (order.length - positives));
}

function finite(metrics: readonly MetricValue[]): MetricValue[] {
  return metrics.filter(([, value]) => Number.isFinite(value));
}
