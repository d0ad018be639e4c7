/**
 * The rows whose inference id was not seen before, in order; adds their ids to `seen`. A row without an id cannot be told
 * from another and always counts.
 */
export function firstOfEach(inferenceIds: readonly string[], seen: Set<string>): number[] {
  const rows: number[] = [];
  for (const [row, id] of inferenceIds.entries()) {
    if (id !== '' && seen.has(id)) continue;
    seen.add(id);
    rows.push(row);
  }
  return rows;
}
