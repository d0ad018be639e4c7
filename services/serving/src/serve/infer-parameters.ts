import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  InferParameter,
  ModelInferRequest,
  ModelInferResponseSchema,
} from '@millrace/contracts/inference';
import { invalidField } from '@millrace/errors';

export type InferRequest = ModelInferRequest;

type Init = MessageInitShape<typeof ModelInferResponseSchema>;
/** An answer, before it is a message. */
export type InferResponse = Exclude<Init, { $typeName: 'inference.ModelInferResponse' }> & {
  outputs: NonNullable<Exclude<Init, { $typeName: 'inference.ModelInferResponse' }>['outputs']>;
  parameters: NonNullable<Exclude<Init, { $typeName: 'inference.ModelInferResponse' }>['parameters']>;
};

type Parameters = { readonly [key: string]: InferParameter };

/** The request's `event_time_ms`. */
export function eventTimeOf(request: InferRequest): number | undefined {
  const choice = parameter(request.parameters, 'event_time_ms');
  if (!choice) return undefined;
  const allowed = 'int64_param: milliseconds since 1970-01-01T00:00:00Z';
  if (choice.case !== 'int64Param' && choice.case !== 'uint64Param')
    throw invalidField('parameters.event_time_ms', `a ${choice.case ?? 'nothing'}`, allowed);
  const time = Number(choice.value);
  if (Math.abs(time) > 8.64e15) throw invalidField('parameters.event_time_ms', String(choice.value), allowed);
  return time;
}

/**
 * Whether the outputs are wanted as typed contents: `binary_data_output` false on the request, or `binary_data` false
 * on every requested output. Raw is the answer to everybody else, as Triton gives it and its clients expect it. Both
 * forms cannot be mixed in one response.
 */
export function wantsTyped(request: InferRequest, outputs: readonly string[]): boolean {
  const whole = bool(request.parameters, 'binary_data_output', 'parameters');
  const each = outputs.map((name) => {
    const asked = request.outputs.find((output) => output.name === name);
    return bool(asked?.parameters ?? {}, 'binary_data', `outputs.${name}.parameters`) ?? whole ?? true;
  });
  if (new Set(each).size > 1)
    throw invalidField(
      'outputs',
      'binary_data differs between outputs',
      'the same for all: gRPC answers in one form',
    );
  return each[0] === false;
}

function bool(parameters: Parameters, name: string, field: string): boolean | undefined {
  const choice = parameter(parameters, name);
  if (!choice) return undefined;
  if (choice.case !== 'boolParam')
    throw invalidField(`${field}.${name}`, `a ${choice.case ?? 'nothing'}`, 'bool_param');
  return choice.value;
}

/** A parameter that is there; names such as `__proto__` are not. */
function parameter(parameters: Parameters, name: string): InferParameter['parameterChoice'] | undefined {
  return Object.hasOwn(parameters, name) ? parameters[name]?.parameterChoice : undefined;
}
