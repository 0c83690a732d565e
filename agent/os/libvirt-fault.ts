/**
 * Where libvirt's errors become faults; nowhere else does anyone look at libvirt's codes to judge a failure.
 *
 * The message says what was attempted, then libvirt's own words. What is not libvirt's and not a fault already is a
 * bug and becomes `internal`. A connection that broke during a call is `unreachable`: the effect is unknown.
 */

import { constants } from "node:os";
import * as virt from "../../native/lib/libvirt-constants.js";
import { LibvirtError } from "../../native/lib/libvirt-error.js";
import { asFault, Fault, type FaultCode } from "../../proto/fault.js";

export function libvirtFault(attempt: string, thrown: unknown): Fault {
  if (thrown instanceof LibvirtError) {
    return new Fault(codeOf(thrown), `${attempt}: ${thrown.message}`, {}, { cause: thrown });
  }
  if (isHandleClosed(thrown)) {
    return new Fault(
      "unreachable",
      `${attempt}: the connection to libvirt was closed meanwhile`,
      {},
      { cause: thrown },
    );
  }
  return asFault(thrown).during(attempt);
}

const isHandleClosed = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && thrown.code === "ERR_HANDLE_CLOSED";

function codeOf(error: LibvirtError): FaultCode {
  if (isConnectionTrouble(error)) return "unreachable";
  if (error.code === virt.VIR_ERR_SYSTEM_ERROR) return codeOfSystemError(error);
  // Drivers say "failed" here where they mean "taken".
  if (error.op === "virDomainDefineXMLFlags" && /already (exists|defined)/.test(error.message)) {
    return "already-exists";
  }
  return CODES.get(error.code) ?? "failed";
}

/** A dead socket answers INTERNAL_ERROR, and any failure to open is one too: the RPC layer tells them apart. */
const isConnectionTrouble = (error: LibvirtError): boolean =>
  error.domain === virt.VIR_FROM_RPC ||
  (error.op === "virConnectOpenAuth" && error.code === virt.VIR_ERR_SYSTEM_ERROR);

function codeOfSystemError(error: LibvirtError): FaultCode {
  const { ENOSPC, EDQUOT, EACCES, EPERM, EBUSY, ETIMEDOUT } = constants.errno;
  switch (error.int1) {
    case ENOSPC:
    case EDQUOT:
      return "out-of-space";
    case EACCES:
    case EPERM:
      return "permission-denied";
    case EBUSY:
      // "Failed to terminate process": it was signalled and did not go within libvirt's patience.
      return error.op === "virDomainDestroyFlags" ? "timeout" : "conflict";
    case ETIMEDOUT:
      return "timeout";
    default:
      return "failed";
  }
}

const CODES: ReadonlyMap<number, FaultCode> = new Map<number, FaultCode>([
  [virt.VIR_ERR_NO_DOMAIN, "not-found"],
  [virt.VIR_ERR_NO_NETWORK, "not-found"],
  [virt.VIR_ERR_NO_STORAGE_POOL, "not-found"],
  [virt.VIR_ERR_NO_STORAGE_VOL, "not-found"],
  [virt.VIR_ERR_NO_DOMAIN_METADATA, "not-found"],
  [virt.VIR_ERR_NO_DOMAIN_SNAPSHOT, "not-found"],
  [virt.VIR_ERR_NO_DOMAIN_CHECKPOINT, "not-found"],
  [virt.VIR_ERR_DEVICE_MISSING, "not-found"],
  [virt.VIR_ERR_DOM_EXIST, "already-exists"],
  [virt.VIR_ERR_INVALID_ARG, "invalid-argument"],
  [virt.VIR_ERR_XML_ERROR, "invalid-argument"],
  [virt.VIR_ERR_XML_DETAIL, "invalid-argument"],
  [virt.VIR_ERR_XML_INVALID_SCHEMA, "invalid-argument"],
  [virt.VIR_ERR_OPERATION_INVALID, "conflict"],
  [virt.VIR_ERR_RESOURCE_BUSY, "conflict"],
  [virt.VIR_ERR_BLOCK_COPY_ACTIVE, "conflict"],
  [virt.VIR_ERR_HOOK_SCRIPT_FAILED, "refused"],
  [virt.VIR_ERR_CPU_INCOMPATIBLE, "refused"],
  [virt.VIR_ERR_CHECKPOINT_INCONSISTENT, "refused"],
  [virt.VIR_ERR_OPERATION_DENIED, "permission-denied"],
  [virt.VIR_ERR_ACCESS_DENIED, "permission-denied"],
  [virt.VIR_ERR_AUTH_FAILED, "permission-denied"],
  [virt.VIR_ERR_AUTH_CANCELLED, "permission-denied"],
  [virt.VIR_ERR_AUTH_UNAVAILABLE, "permission-denied"],
  [virt.VIR_ERR_NO_SUPPORT, "unsupported"],
  [virt.VIR_ERR_CONFIG_UNSUPPORTED, "unsupported"],
  [virt.VIR_ERR_ARGUMENT_UNSUPPORTED, "unsupported"],
  [virt.VIR_ERR_OPERATION_UNSUPPORTED, "unsupported"],
  [virt.VIR_ERR_OPERATION_TIMEOUT, "timeout"],
  [virt.VIR_ERR_AGENT_UNRESPONSIVE, "timeout"],
  [virt.VIR_ERR_OPERATION_ABORTED, "cancelled"],
  [virt.VIR_ERR_NO_CONNECT, "unreachable"],
  [virt.VIR_ERR_INVALID_CONN, "unreachable"],
  [virt.VIR_ERR_NO_SERVER, "unreachable"],
]);
