export { type Compiled, compile } from './compile.ts';
export { type Expr, partsOf } from './walk.ts';
