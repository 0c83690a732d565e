/**
 * connect-target: the volumes and block devices of a server, let go by the source when it was fenced, are reached from here
 * once more before anything is defined. QEMU itself connects to them when the guest is created; a driver that has to attach something to the
 * host would do it here, and let go of it in withdraw-target.
 */

import { fromFaultInfo } from "../../proto/fault-info.js";
import type { ConnectTarget } from "../../proto/gen/ferry/v1/agent.js";
import { deviceRefusals } from "./target-block-devices.js";
import { targetDocument } from "./target-document.js";
import { volumeRefusals } from "./target-volumes.js";
import { result, type Verb } from "./verb.js";

export const connectTarget: Verb<ConnectTarget> = async (_request, call, world) => {
  const { manifest, sourceHost } = await targetDocument(call, world);
  const [refusal] = [
    ...(await volumeRefusals(manifest, world, call.signal)),
    // Also on its own host nobody has them any more: the source's guest is fenced.
    ...(await deviceRefusals(manifest, sourceHost, world, { sourceIsFenced: true })),
  ];
  if (refusal !== undefined) throw fromFaultInfo(refusal);
  return result();
};
