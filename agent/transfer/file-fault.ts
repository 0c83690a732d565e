/** What a failed system call on a disk file means to the person who waits for the copy. */

import { Fault, type FaultCode, type FaultDetail } from "../../proto/fault.js";

const CODES: Readonly<Record<string, FaultCode>> = {
  ENOSPC: "out-of-space",
  EDQUOT: "out-of-space",
  EFBIG: "out-of-space",
  EEXIST: "already-exists",
  ENOENT: "not-found",
  ENOTDIR: "not-found",
  EACCES: "permission-denied",
  EPERM: "permission-denied",
  EROFS: "permission-denied",
  ELOOP: "permission-denied",
  EXDEV: "permission-denied",
  EOPNOTSUPP: "unsupported",
  // Shorter than it was.
  ENODATA: "conflict",
};

/** Node's or our addon's errno code of a thrown value; empty when it has none. */
export const errnoOf = (thrown: unknown): string =>
  thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";

/** A Fault stays what it is; a system error becomes one that says what was attempted. */
export function fileFault(thrown: unknown, attempt: string, detail: FaultDetail = {}): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault(CODES[errnoOf(thrown)] ?? "failed", `${attempt}: ${message}`, detail, { cause: thrown });
}
