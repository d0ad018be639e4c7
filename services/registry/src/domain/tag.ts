/** A name and a text of the owner's choice. */
export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** Tags with unique keys: of several with one key the last one counts, in the place of the first. */
export function uniqueTags(tags: readonly Tag[]): readonly Tag[] {
  const byKey = new Map<string, Tag>();
  for (const { key, value } of tags) byKey.set(key, { key, value });
  return [...byKey.values()];
}

/** The most characters of tags that an event carries. */
const briefCharacters = 65_536;

/** The first tags that together fit an event. */
export function briefTags(tags: readonly Tag[]): Tag[] {
  let left = briefCharacters;
  const brief: Tag[] = [];
  for (const tag of tags) {
    left -= tag.key.length + tag.value.length;
    if (left < 0) break;
    brief.push(tag);
  }
  return brief;
}
