/** What names a model inside the store. */
export interface ModelRef {
  readonly project: string;
  readonly model: string;
}

/**
 * The id of a model's documents: the names as they are. A project has no slash, so the first one ends it; what follows a
 * model's key in other ids has none either, so the last one begins it. No two things share an id, whatever models are
 * called.
 */
export function modelKey({ project, model }: ModelRef): string {
  return `${project}/${model}`;
}

export function versionKey(ref: ModelRef & { readonly version: number }): string {
  return `${modelKey(ref)}/${ref.version}`;
}

export function gateKey(ref: ModelRef & { readonly gate: string }): string {
  return `${modelKey(ref)}/${ref.gate}`;
}
