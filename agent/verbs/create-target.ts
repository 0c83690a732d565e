/**
 * create-target: created paused, the last thing that can fail. The source's fence receipt is checked here, by the
 * host that relies on it; only then may this incarnation start at all (SAFETY R3, R4).
 */

import { Fault } from "../../proto/fault.js";
import type { CreateTarget } from "../../proto/gen/ferry/v1/agent.js";
import { withStartToken } from "../fence/start-token.js";
import { verifiedReceipt } from "./signed-receipt.js";
import { targetDocument } from "./target-document.js";
import { result, type Verb, type World } from "./verb.js";

export const createTarget: Verb<CreateTarget> = async ({ fenceReceipt, leaveOff }, call, world) => {
  const { plan, manifest, sourceHost } = await targetDocument(call, world);
  const statement = verifiedReceipt(fenceReceipt, { kind: "fence", host: sourceHost }, call, world);
  requireSource(statement.incarnation, manifest.domainXml, world);
  world.documents.put(call.serverId, call.migrationId, "fence-receipt", statement);
  await world.fence.guestFiles.allow(call.serverId, plan.incarnation);
  if (leaveOff) {
    world.guests.update(call.serverId, { role: "active" });
    return result();
  }
  const domain = await world.hypervisor.findDomain(call.serverId);
  if (domain?.state === "paused") return result();
  if (domain?.state !== "shut-off") {
    throw new Fault(
      "conflict",
      `the server is ${domain?.state ?? "not defined"} on the target, not shut off`,
    );
  }
  const guest = { server: call.serverId, incarnation: plan.incarnation };
  await withStartToken(world.config.run_dir, guest, () =>
    world.hypervisor.start(call.serverId, { paused: true }),
  );
  return result();
};

/** Not just any incarnation of the server: the one that this target is to take over from. */
function requireSource(stated: string, sourceXml: string, { fence }: World): void {
  const source = fence.incarnationOf(sourceXml);
  if (stated === source) return;
  throw new Fault(
    "refused",
    "the fence receipt speaks of another incarnation than the one that was to be moved",
    {
      have: stated,
      need: source ?? "a source that bears Ferry's mark",
    },
  );
}
