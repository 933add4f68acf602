/**
 * Errors: one class, told apart by `code`.
 *
 * The codes of the server are those of PROTOCOL.md section 11; the client adds a few of its own.
 */

/** Codes that only the client gives. */
export type ClientErrorCode =
  /** The connection was closed by `close()` while something was still waiting for it. */
  | "closed"
  /** `maxAttempts` attempts in a row found no server. */
  | "gave_up"
  /** A publication got no acknowledgement within its `timeoutMs`. It may have been appended. */
  | "timeout"
  /** No token is to be had: `token` is a text that the server refuses, or the function gave none. */
  | "token_unavailable"
  /** The server could not be reached. */
  | "unreachable"
  /** An answer that PROTOCOL.md does not allow, for instance a proxy's own page. */
  | "bad_answer";

/** Codes of the server (PROTOCOL.md section 11). */
export type ServerErrorCode =
  | "invalid_request"
  | "invalid_cursor"
  | "invalid_channel"
  | "invalid_event"
  | "unauthorized"
  | "token_expired"
  | "forbidden"
  | "origin_forbidden"
  | "host_forbidden"
  | "not_found"
  | "method_not_allowed"
  | "idempotency_conflict"
  | "too_large"
  | "request_timeout"
  | "head_too_large"
  | "too_many_channels"
  | "too_many_connections"
  | "rate_limited"
  | "storage_full"
  | "storage_failed"
  | "busy"
  | "shutting_down"
  | "transport_blocked"
  | "internal";

/** A newer server may send a code that this version does not know, hence the open end. */
export type ErrorCode = ClientErrorCode | ServerErrorCode | (string & {});

export class AnywireError extends Error {
  override readonly name = "AnywireError";
  readonly code: ErrorCode;
  /** The server asks to wait this long before the next attempt (`Retry-After`, `retry_ms`). */
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whatever was thrown; what is not ours comes from the network. */
export function asError(cause: unknown): AnywireError {
  return cause instanceof AnywireError ? cause : new AnywireError("unreachable", String(cause));
}

/**
 * What helps (columns "retry" and "what a client does" of section 11). `network`: trying again, perhaps over
 * another transport.
 * `busy`: trying again later. `rejected`: nothing but another request.
 */
export type Remedy = "network" | "token" | "blocked" | "busy" | "rejected";

export function remedyFor({ code }: AnywireError): Remedy {
  switch (code) {
    case "unreachable":
    case "bad_answer":
      return "network";
    case "token_expired":
    case "unauthorized":
      return "token";
    case "transport_blocked":
      return "blocked";
    case "too_many_connections":
    case "rate_limited":
    case "storage_full":
    case "storage_failed":
    case "busy":
    case "shutting_down":
    case "internal":
      return "busy";
    default:
      return "rejected";
  }
}
