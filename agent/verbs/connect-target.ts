/**
 * connect-target: the volumes of a server, let go by the source when it was fenced, are reached from here once more before
 * anything is defined. QEMU itself connects to them when the guest is created; a driver that has to attach something to the
 * host would do it here, and let go of it in withdraw-target.
 */

import { fromFaultInfo } from "../../proto/fault-info.js";
import type { ConnectTarget } from "../../proto/gen/ferry/v1/agent.js";
import { targetDocument } from "./target-document.js";
import { volumeRefusals } from "./target-volumes.js";
import { result, type Verb } from "./verb.js";

export const connectTarget: Verb<ConnectTarget> = async (_request, call, world) => {
  const { manifest } = await targetDocument(call, world);
  const [refusal] = await volumeRefusals(manifest, world, call.signal);
  if (refusal !== undefined) throw fromFaultInfo(refusal);
  return result();
};
