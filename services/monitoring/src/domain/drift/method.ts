import type { ColumnProfile } from '../column.ts';

/** Ways to compare two samples. */
const methods = ['ks', 'psi', 'wasserstein', 'jensen-shannon', 'chi-square'] as const;
export type Method = (typeof methods)[number];

/** Whether a method gives a p-value, small where samples differ, or a distance, large where they do; and from where it is drift. */
export const methodTable: Readonly<Record<Method, { readonly isTest: boolean; readonly threshold: number }>> =
  {
    ks: { isTest: true, threshold: 0.05 },
    'chi-square': { isTest: true, threshold: 0.05 },
    psi: { isTest: false, threshold: 0.1 },
    wasserstein: { isTest: false, threshold: 0.1 },
    'jensen-shannon': { isTest: false, threshold: 0.1 },
  };

/** Up to this many rows in the reference a test is used, beyond it a distance: tests call anything drift at large n. */
const testRows = 1000;
/** Numbers with no more different values than this are compared like categories. */
const fewValues = 5;

/** The method for a column that has none of its own, by type and size of the reference, as Evidently 0.7 chooses. */
export function defaultMethod(reference: ColumnProfile): Method {
  const rows = reference.count - reference.nulls;
  if (reference.kind === 'number' && reference.distinct > fewValues)
    return rows <= testRows ? 'ks' : 'wasserstein';
  return rows <= testRows ? 'chi-square' : 'jensen-shannon';
}

/** Whether a method can judge a column of this kind. */
export function suits(method: Method, kind: ColumnProfile['kind']): boolean {
  return kind === 'number' || (method !== 'ks' && method !== 'wasserstein');
}
