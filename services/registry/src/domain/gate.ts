/** A condition on promotions, as it is stored. */
export interface Gate {
  readonly project: string;
  readonly model: string;
  readonly gate: string;
  readonly alias: string;
  readonly expression: string;
  /** Empty for the newest data set in common. */
  readonly dataset: string;
  readonly allowFirst: boolean;
  readonly description: string;
}

/** The fields of a gate that an update may name, in proto names. */
export const gateFields = ['expression', 'dataset', 'allow_first', 'description'] as const;
export type GateField = (typeof gateFields)[number];

/** How many gates a model can have: a decision with what all of them saw must fit one event. */
export const maxGates = 20;

/** Changes the named fields. */
export function changeGate(now: Gate, next: Gate, fields: readonly GateField[]): Gate {
  return {
    ...now,
    expression: fields.includes('expression') ? next.expression : now.expression,
    dataset: fields.includes('dataset') ? next.dataset : now.dataset,
    allowFirst: fields.includes('allow_first') ? next.allowFirst : now.allowFirst,
    description: fields.includes('description') ? next.description : now.description,
  };
}
