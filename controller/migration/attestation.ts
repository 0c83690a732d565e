/** Whether what a target says of a server is enough to let the source go. */

import type { AttestResponse } from "../../proto/gen/ferry/v1/agent.js";

interface Expected {
  readonly incarnation: string;
  readonly epoch: number;
  /** RUNNING | SHUTDOWN; absent: whatever the guest has done since is its own business. */
  readonly powerState?: string;
}

/** One clause that completes "the target says that …"; nothing when all is well. */
export function objectionTo(said: AttestResponse, expected: Expected): string | undefined {
  if (said.role !== "active") return `the server is ${said.role} there, not active`;
  if (said.incarnation !== expected.incarnation) {
    return `incarnation ${said.incarnation} is there, not ${expected.incarnation}`;
  }
  if (said.epoch !== expected.epoch) return `it knows epoch ${said.epoch}, not ${expected.epoch}`;
  if (said.domain === "absent") return "the server is not defined in libvirt";
  if (said.ioError) return "the guest is paused on an I/O error";
  if (!said.filesPresent) return "disks are missing";
  const [drift] = said.drift;
  if (drift !== undefined) return drift;
  const isExpected = expected.powerState === undefined || said.domain === expected.powerState;
  return isExpected ? undefined : `the guest is ${said.domain}, not ${expected.powerState}`;
}
