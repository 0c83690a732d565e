/** How Nova says no: a status, a word for it, and a sentence; and which status each of our faults has. */

import { asFault, type Fault, type FaultCode } from "../../../proto/fault.js";

export class NovaError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "NovaError";
    this.status = status;
    this.headers = headers;
  }

  /** `{"badRequest": {"code": 400, "message": "…"}}` */
  get body(): object {
    return { [WORDS[this.status] ?? "computeFault"]: { code: this.status, message: this.message } };
  }
}

const WORDS: Readonly<Record<number, string>> = {
  400: "badRequest",
  401: "unauthorized",
  403: "forbidden",
  404: "itemNotFound",
  405: "badMethod",
  409: "conflictingRequest",
  413: "overLimit",
  415: "badMediaType",
  501: "notImplemented",
  503: "serviceUnavailable",
};

/** Nova answers 409 where a service that is needed does not answer. */
const STATUS: Readonly<Record<FaultCode, number>> = {
  "invalid-argument": 400,
  "not-found": 404,
  "already-exists": 409,
  "permission-denied": 403,
  unauthenticated: 401,
  conflict: 409,
  refused: 400,
  "no-valid-host": 400,
  "stale-epoch": 409,
  "out-of-space": 409,
  corrupt: 500,
  unsupported: 501,
  cancelled: 409,
  timeout: 504,
  unreachable: 409,
  failed: 500,
  stuck: 409,
  internal: 500,
};

/** Nova's words for whatever we did not expect; the log has the rest. */
const UNEXPECTED =
  "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.";

export function novaErrorOf(thrown: unknown): NovaError {
  if (thrown instanceof NovaError) return thrown;
  const fault = asFault(thrown);
  if (fault.code === "internal") return new NovaError(500, UNEXPECTED.replace(/ Please.*/, ""));
  return new NovaError(STATUS[fault.code], sentence(fault));
}

/** Nova has one sentence and says it exactly; where Ferry refuses what Nova would have tried, the need belongs to it. */
function sentence({ code, message, detail: { have, need } }: Fault): string {
  const isNovas = code !== "refused" || NOVAS_OWN.some(words => message.startsWith(words));
  return isNovas || have === undefined || need === undefined
    ? message
    : `${message} (have: ${have}; need: ${need})`;
}

const NOVAS_OWN: readonly string[] = ["Cannot migrate to the host", "Resize error: "];
