/**
 * Faults: the closed set of ways in which the world can refuse us.
 *
 * A fault is a value, not a bug. Every code has one row that says which gRPC status carries it, whether a caller
 * may try again (`now`, `later`, `never`) and which exit code the command line ends with. `timeout` and
 * `unreachable` mean *unknown*: the effect may have happened, so repeat or refuse, never assume.
 */

import { status } from "@grpc/grpc-js";

export type Retry = "now" | "later" | "never";

interface FaultRow {
  readonly grpc: status;
  readonly retry: Retry;
  /** Exit code of `ferry` when a call ends with this fault. */
  readonly exit: number;
}

const row = (grpc: status, retry: Retry, exit: number): FaultRow => ({ grpc, retry, exit });

/** The one table. Exit codes: 2 usage, 3 refused by a check, 4 conflict, 5 failed and unwound, 6 needs a person, 7 unreachable, 8 not permitted, 9 not found. */
export const FAULTS = {
  "invalid-argument": row(status.INVALID_ARGUMENT, "never", 2),
  "not-found": row(status.NOT_FOUND, "never", 9),
  "already-exists": row(status.ALREADY_EXISTS, "never", 4),
  "permission-denied": row(status.PERMISSION_DENIED, "never", 8),
  unauthenticated: row(status.UNAUTHENTICATED, "never", 8),
  conflict: row(status.ABORTED, "never", 4),
  refused: row(status.FAILED_PRECONDITION, "never", 3),
  "no-valid-host": row(status.FAILED_PRECONDITION, "never", 3),
  "stale-epoch": row(status.FAILED_PRECONDITION, "never", 4),
  "out-of-space": row(status.RESOURCE_EXHAUSTED, "later", 5),
  corrupt: row(status.DATA_LOSS, "now", 5),
  unsupported: row(status.UNIMPLEMENTED, "never", 3),
  cancelled: row(status.CANCELLED, "never", 5),
  timeout: row(status.DEADLINE_EXCEEDED, "later", 7),
  unreachable: row(status.UNAVAILABLE, "later", 7),
  failed: row(status.UNKNOWN, "later", 5),
  stuck: row(status.FAILED_PRECONDITION, "never", 6),
  internal: row(status.INTERNAL, "never", 1),
} as const satisfies Record<string, FaultRow>;

export type FaultCode = keyof typeof FAULTS;

/** What a person needs to act on a refusal. All fields are one line of plain text. */
export interface FaultDetail {
  readonly have?: string;
  readonly need?: string;
  readonly fix?: string;
  readonly host?: string;
}

export class Fault extends Error {
  readonly code: FaultCode;
  readonly detail: FaultDetail;

  constructor(code: FaultCode, message: string, detail: FaultDetail = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = "Fault";
    this.code = code;
    this.detail = detail;
  }

  get retry(): Retry {
    return FAULTS[this.code].retry;
  }

  /** True when the effect of the failed call may or may not have happened (DESIGN §4.6). */
  get isUnknown(): boolean {
    return this.code === "timeout" || this.code === "unreachable";
  }

  /** Prefix what was attempted, keep code and detail: `define web-3 on h2: …`. */
  during(attempt: string): Fault {
    return new Fault(this.code, `${attempt}: ${this.message}`, this.detail, { cause: this });
  }
}

export const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(FAULTS, code);

/** Any thrown value as a fault; what is not one already is a bug and becomes `internal`. */
export function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault("internal", message, {}, { cause: thrown });
}
