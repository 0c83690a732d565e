/**
 * Faults on the wire: as a `FaultInfo` inside messages, and as the status of a call.
 *
 * A handler's fault travels as a gRPC status that foreign clients understand, with the whole FaultInfo beside it in
 * the trailing metadata `ferry-fault-bin`. A status *without* that metadata was made by a transport, not by a
 * handler: except where it proves that no handler ran, the effect of the call is unknown (DESIGN §4.6).
 */

import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { asFault, FAULTS, Fault, type FaultCode, type FaultDetail, isFaultCode } from "./fault.js";
import { FaultInfo } from "./gen/ferry/v1/model.js";

const TRAILER = "ferry-fault-bin";

export function toFaultInfo(fault: Fault): FaultInfo {
  const { have = "", need = "", fix = "", host = "" } = fault.detail;
  return { code: fault.code, message: fault.message, have, need, fix, host };
}

export function fromFaultInfo(info: FaultInfo): Fault {
  // A code that only a newer peer knows.
  const code: FaultCode = isFaultCode(info.code) ? info.code : "failed";
  const detail: { -readonly [key in keyof FaultDetail]: string } = {};
  for (const key of ["have", "need", "fix", "host"] as const) {
    if (info[key] !== "") detail[key] = info[key];
  }
  return new Fault(code, info.message, detail);
}

/** What a server answers for whatever its handler threw. */
export function toStatus(thrown: unknown): { code: status; details: string; metadata: Metadata } {
  const fault = asFault(thrown);
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(FaultInfo.encode(toFaultInfo(fault)).finish()));
  return { code: FAULTS[fault.code].grpc, details: fault.message, metadata };
}

/** What a client throws for a call that failed. `attempt` names the peer, for faults that are not its own words. */
export function fromStatus(error: ServiceError, attempt: string): Fault {
  const [trailer] = error.metadata?.get(TRAILER) ?? [];
  if (Buffer.isBuffer(trailer)) {
    const { code, message, detail } = fromFaultInfo(FaultInfo.decode(trailer));
    return new Fault(code, message, detail, { cause: error });
  }
  return transportFault(error, attempt);
}

/**
 * How a connection stood in the way of a call: `none` could be made, so nothing was asked; or it was `lost` with whatever was
 * asked. Undefined for what the peer itself has said.
 */
export function connectionOf({ code, cause }: Fault): "none" | "lost" | undefined {
  const { metadata, details = "" } = (cause ?? {}) as Partial<ServiceError>;
  if (code !== "unreachable" || metadata === undefined || metadata.get(TRAILER).length > 0) return undefined;
  return details.startsWith("No connection established") ? "none" : "lost";
}

/** These prove that no handler ran; whatever else a transport says leaves the effect unknown. */
const NOT_BEGUN: Partial<Record<status, FaultCode>> = {
  [status.UNIMPLEMENTED]: "unsupported",
  [status.UNAUTHENTICATED]: "unauthenticated",
};

const REFUSED_CERTIFICATE = /certificate|unknown ca/i;

function transportFault(error: ServiceError, attempt: string): Fault {
  const reason = transportReason(error.details || error.message);
  const fault = (code: FaultCode, message: string, detail: FaultDetail = {}) =>
    new Fault(code, `${attempt}: ${message}`, detail, { cause: error });
  const known = NOT_BEGUN[error.code];
  if (known !== undefined) return fault(known, reason);
  if (error.code === status.DEADLINE_EXCEEDED) return fault("timeout", "no answer in time");
  if (error.code === status.UNAVAILABLE && REFUSED_CERTIFICATE.test(reason)) {
    return fault("unauthenticated", reason, {
      need: "certificates of one CA at both ends (`ferry pki show FILE`)",
    });
  }
  return fault("unreachable", reason);
}

/** grpc-js wraps the last socket error in bookkeeping, and OpenSSL its few words in source positions. */
function transportReason(details: string): string {
  const [, last = details] =
    /Last error: (?:Error: )?(.*?)(?: \(\d{4}-\d\d-\d\dT|\. Resolution note|$)/s.exec(details) ?? [];
  const [, words = last] = /SSL routines:[^:]*:([^:]+)/.exec(last) ?? [];
  return words.trim();
}
