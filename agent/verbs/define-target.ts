/**
 * define-target: the same machine, written for this host. Nothing may start it yet: it is denied before it is
 * defined, and stays so until create-target has seen the source's receipt.
 */

import { Fault } from "../../proto/fault.js";
import type { CopyReceipt, DefineTarget } from "../../proto/gen/ferry/v1/agent.js";
import { readDomain } from "../domain/domain-xml.js";
import { formatIncarnation, readIncarnation } from "../domain/ferry-metadata.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const defineTarget: Verb<DefineTarget> = async (_request, call, world) => {
  const { plan } = targetDocument(call, world);
  await refuseUnfinished(
    plan.files.filter(file => file.mode === "copied").map(file => file.id),
    call,
    world,
  );
  await world.fence.guestFiles.deny(
    call.serverId,
    `migration ${call.migrationId} is bringing this server here; it starts when its source has let go`,
  );
  const stored = await world.hypervisor.define(plan.domainXml);
  const mark = readIncarnation(readDomain(stored).root);
  if (mark === undefined || formatIncarnation(mark) !== plan.incarnation) {
    throw new Fault(
      "failed",
      `define ${call.serverId}: libvirt did not keep Ferry's mark in the domain's metadata`,
    );
  }
  return result();
};

/** No definition without a receipt for every copied file (DESIGN invariant 3). */
async function refuseUnfinished(ids: readonly string[], call: Call, world: World): Promise<void> {
  const receipt = world.documents.get<CopyReceipt>(call.serverId, call.migrationId, "copy");
  const missing = ids.filter(id => !receipt?.files.some(file => file.id === id));
  if (missing.length > 0) throw new Fault("refused", `no copy receipt for ${missing.join(", ")}`);
}
