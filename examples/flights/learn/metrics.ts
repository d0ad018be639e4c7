export interface Metrics {
  /** Area under the ROC curve, 0 to 1; NaN when only one class is there. */
  readonly auc: number;
  /** Mean negative log-likelihood in nats. */
  readonly log_loss: number;
  /** Mean squared error of the probability. */
  readonly brier: number;
  /** The share of positives. */
  readonly base_rate: number;
}

/** Measures probabilities against labels. Log loss clips at 1e-7 so that one certain error is not infinite. */
export function measure(scores: Float64Array, labels: Uint8Array): Metrics {
  const n = labels.length;
  let loss = 0;
  let squared = 0;
  let positives = 0;
  for (let i = 0; i < n; i++) {
    const p = Math.min(Math.max(scores[i]!, 1e-7), 1 - 1e-7);
    const y = labels[i]!;
    loss -= y === 1 ? Math.log(p) : Math.log1p(-p);
    squared += (p - y) ** 2;
    positives += y;
  }
  return { auc: auc(scores, labels), log_loss: loss / n, brier: squared / n, base_rate: positives / n };
}

/** The rank-sum form, ties sharing their mean rank. Source: Hanley and McNeil, Radiology 143 (1982). */
export function auc(scores: Float64Array, labels: Uint8Array): number {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[a]! - scores[b]!);
  let positives = 0;
  let rankSum = 0;
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    const meanRank = (start + end + 1) / 2;
    for (let i = start; i < end; i++) {
      if (labels[order[i]!] === 1) {
        positives++;
        rankSum += meanRank;
      }
    }
    start = end;
  }
  const negatives = labels.length - positives;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}
