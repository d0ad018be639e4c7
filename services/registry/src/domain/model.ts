import { type Tag, uniqueTags } from './tag.ts';

/** A model as it is stored. */
export interface Model {
  readonly project: string;
  /** The model's own name: free text. */
  readonly model: string;
  readonly description: string;
  readonly tags: readonly Tag[];
}

/** What people say about a model or a version, and may change. */
export interface Wording {
  readonly description: string;
  readonly tags: readonly Tag[];
}

/** The fields of {@link Wording} that an update may name. */
export const wordingFields = ['description', 'tags'] as const;
export type WordingField = (typeof wordingFields)[number];

/** Changes the named fields; undefined when nothing is different. */
export function reword<T extends Wording>(
  now: T,
  next: Wording,
  fields: readonly WordingField[],
): T | undefined {
  const description = fields.includes('description') ? next.description : now.description;
  const tags = fields.includes('tags') ? uniqueTags(next.tags) : now.tags;
  if (description === now.description && sameTags(tags, now.tags)) return undefined;
  return { ...now, description, tags };
}

function sameTags(a: readonly Tag[], b: readonly Tag[]): boolean {
  return a.length === b.length && a.every((tag, i) => tag.key === b[i]?.key && tag.value === b[i]?.value);
}
