/** What a check found. */
export interface Finding {
  /** `note` is neither right nor wrong: something is not there that need not be. */
  readonly state: 'good' | 'note' | 'bad';
  readonly text: string;
  /** What to do about it. */
  readonly fix?: string;
}

export const good = (text: string): Finding => ({ state: 'good', text });
export const note = (text: string, fix?: string): Finding => ({
  state: 'note',
  text,
  ...(fix ? { fix } : {}),
});
export const bad = (text: string, fix: string): Finding => ({ state: 'bad', text, fix });
