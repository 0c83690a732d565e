/**
 * define-target: the same machine, written for this host. Nothing may start it yet: it is denied before it is
 * defined, and stays so until create-target has seen the source's receipt. From here on the server's row in the journal
 * is the target's, also where source and target are one host.
 */

import { Fault } from "../../proto/fault.js";
import type { CopyReceipt, DefineTarget, PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import { readDomain } from "../domain/domain-xml.js";
import { formatIncarnation, readIncarnation } from "../domain/ferry-metadata.js";
import { isPrepared } from "./prepare-disks.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const defineTarget: Verb<DefineTarget> = async (_request, call, world) => {
  const { plan } = await targetDocument(call, world);
  refuseUnfinished(plan.files, call, world);
  await refuseOther(plan.incarnation, call, world);
  await world.fence.guestFiles.deny(
    call.serverId,
    `migration ${call.migrationId} is bringing this server here; it starts when its source has let go`,
  );
  world.guests.update(call.serverId, {
    role: "incoming",
    migrationId: call.migrationId,
    incarnation: plan.incarnation,
    mayHaveRun: false,
    disks: plan.disks,
  });
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

/** libvirt would overwrite what somebody has defined here under this uuid since the target was prepared. */
async function refuseOther(incarnation: string, { serverId }: Call, world: World): Promise<void> {
  const domain = await world.hypervisor.findDomain(serverId);
  if (domain === undefined) return;
  const marked = world.fence.incarnationOf(await world.hypervisor.domainXml(serverId, "inactive"));
  if (marked === incarnation) return;
  throw new Fault("conflict", `${domain.name} with the server's uuid was defined on the target meanwhile`, {
    fix: "find out who defined it, and undefine it there if it is a leftover",
  });
}

/** No definition without a receipt for every file, the second one for what was made or changed (DESIGN invariant 3). */
function refuseUnfinished(
  files: readonly PlannedFile[],
  { serverId, migrationId }: Call,
  world: World,
): void {
  const stated = (kind: "copy" | "made") =>
    new Set(world.documents.get<CopyReceipt>(serverId, migrationId, kind)?.files.map(({ id }) => id));
  const [copied, made] = [stated("copy"), stated("made")];
  const missing = files.filter(file => !(isPrepared(file) ? made : copied).has(file.id)).map(({ id }) => id);
  if (missing.length > 0) throw new Fault("refused", `no receipt for ${missing.join(", ")}`);
}
