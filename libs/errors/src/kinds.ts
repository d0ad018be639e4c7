/**
 * The kinds of errors and the one table that maps them to gRPC and HTTP.
 * Source: google.rpc.Code and its HTTP mapping.
 */
export const kinds = {
  cancelled: { grpc: 1, http: 499, retryable: false },
  unknown: { grpc: 2, http: 500, retryable: false },
  invalid_argument: { grpc: 3, http: 400, retryable: false },
  deadline_exceeded: { grpc: 4, http: 504, retryable: true },
  not_found: { grpc: 5, http: 404, retryable: false },
  already_exists: { grpc: 6, http: 409, retryable: false },
  permission_denied: { grpc: 7, http: 403, retryable: false },
  resource_exhausted: { grpc: 8, http: 429, retryable: true },
  failed_precondition: { grpc: 9, http: 400, retryable: false },
  aborted: { grpc: 10, http: 409, retryable: true },
  out_of_range: { grpc: 11, http: 400, retryable: false },
  unimplemented: { grpc: 12, http: 501, retryable: false },
  internal: { grpc: 13, http: 500, retryable: false },
  unavailable: { grpc: 14, http: 503, retryable: true },
  data_loss: { grpc: 15, http: 500, retryable: false },
  unauthenticated: { grpc: 16, http: 401, retryable: false },
} as const;

/** What sort of thing went wrong; one gRPC status each. */
export type Kind = keyof typeof kinds;

/** The kind of a gRPC status number; `unknown` for numbers that gRPC does not define. */
export function kindOfGrpc(status: number): Kind {
  for (const [kind, row] of Object.entries(kinds)) if (row.grpc === status) return kind as Kind;
  return 'unknown';
}

/** The kind of an HTTP status. Source: the gRPC-over-HTTP status mapping. */
export function kindOfHttp(status: number): Kind {
  if (status === 503 || status === 502) return 'unavailable';
  for (const [kind, row] of Object.entries(kinds))
    if (row.http === status && kind !== 'unknown') return kind as Kind;
  return status >= 400 && status < 500 ? 'invalid_argument' : 'unknown';
}
