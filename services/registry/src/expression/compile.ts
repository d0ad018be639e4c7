import { compile as compileCel, type Compiled as Understood } from '@millrace/expressions';
import { type References, referencesOf } from './references.ts';

/** An expression that was understood, and what it names. */
export interface Compiled extends Pick<Understood, 'run'> {
  readonly references: References;
}

/** Understands an expression, or says what is wrong with it. */
export function compile(expression: string): Compiled | { readonly error: string } {
  const compiled = compileCel(expression);
  if ('error' in compiled) return compiled;
  return { references: referencesOf(compiled.root), run: compiled.run };
}
