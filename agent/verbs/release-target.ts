/**
 * release-target: the CPUs run. That they may have run is durable in this journal before they are told to; from
 * then on no automatism goes back (SAFETY R3).
 */

import { Fault } from "../../proto/fault.js";
import type { ReleaseTarget } from "../../proto/gen/ferry/v1/agent.js";
import { journalRanMark } from "./journal-ran-mark.js";
import { startGuest } from "./start-domain.js";
import { targetDocument } from "./target-document.js";
import { result, type Verb } from "./verb.js";

export const releaseTarget: Verb<ReleaseTarget> = async (_request, call, world) => {
  const { plan } = await targetDocument(call, world);
  world.guests.update(call.serverId, { mayHaveRun: true, role: "active", incarnation: plan.incarnation });
  await journalRanMark(call, world);
  const domain = await world.hypervisor.findDomain(call.serverId);
  if (domain === undefined || domain.state === "crashed" || domain.state === "pm-suspended") {
    throw new Fault(
      "conflict",
      `the server is ${domain?.state ?? "not defined"} on the target; it was to be resumed`,
      {
        fix: "look at its console and QEMU log on the target, then revert or start it",
      },
    );
  }
  // Off: the host lost its power since the guest was created. Its source cannot run, and nothing that it did is lost.
  await startGuest(call.serverId, plan.incarnation, world);
  return result();
};
