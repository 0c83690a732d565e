/**
 * Whether a host is what it was (SAFETY R14). An agent counts its starts; a counter that goes back or is used
 * twice means that the host's disk was restored from an older copy, and the same installation on another machine means that it was cloned.
 * Either may hold servers that have long moved on, so such a host takes none until a person enables it again.
 */

import type { HeartbeatRequest } from "../../proto/gen/ferry/v1/controller.js";
import type { HostRow } from "../store/hosts.js";

export function suspicionOf(known: HostRow, report: HeartbeatRequest): string | undefined {
  if (known.install_id === "" || known.install_id !== report.installId) return undefined;
  if (known.machine_id !== report.machineId) {
    return `quarantined: installation ${report.installId} was ${known.machine_id} before and is ${report.machineId} now; check for a clone, then enable the host`;
  }
  if (report.incarnation < known.incarnation) {
    return `quarantined: the agent's start counter went back from ${known.incarnation} to ${report.incarnation}; check for a restored disk, then enable the host`;
  }
  const isRepeated = report.incarnation === known.incarnation && known.incarnation > 0;
  if (isRepeated && known.instance_id !== "" && known.instance_id !== report.instanceId) {
    return `quarantined: two agents of installation ${report.installId} say that they are its start number ${report.incarnation}; check for a clone or a restored disk, then enable the host`;
  }
  return undefined;
}
