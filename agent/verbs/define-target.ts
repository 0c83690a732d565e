/**
 * define-target: the same machine, written for this host. Nothing may start it yet: it is denied before it is
 * defined, and stays so until create-target has seen the source's receipt.
 */

import { Fault } from "../../proto/fault.js";
import type { CopyReceipt, DefineTarget, PlannedFile } from "../../proto/gen/ferry/v1/agent.js";
import { readDomain } from "../domain/domain-xml.js";
import { formatIncarnation, readIncarnation } from "../domain/ferry-metadata.js";
import { isPrepared } from "./prepare-disks.js";
import { targetDocument } from "./target-document.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const defineTarget: Verb<DefineTarget> = async (_request, call, world) => {
  const { plan } = targetDocument(call, world);
  const idsOf = (files: readonly PlannedFile[]) => files.map(({ id }) => id);
  const copied = plan.files.filter(({ mode }) => mode === "copied");
  refuseUnfinished("copy", idsOf(copied), call, world);
  refuseUnfinished("second-receipt", idsOf(plan.files.filter(isPrepared)), call, world);
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

/** No definition without a receipt for every disk, and a second one for what was made or changed (DESIGN invariant 3). */
function refuseUnfinished(
  receipt: keyof typeof RECEIPT_NAMES,
  ids: readonly string[],
  { serverId, migrationId }: Call,
  world: World,
): void {
  const { files = [] } = world.documents.get<CopyReceipt>(serverId, migrationId, receipt) ?? {};
  const missing = ids.filter(id => !files.some(file => file.id === id));
  if (missing.length === 0) return;
  throw new Fault("refused", `no ${RECEIPT_NAMES[receipt]} for ${missing.join(", ")}`);
}

/** As the journal calls them, and as people do. */
const RECEIPT_NAMES = { copy: "copy receipt", "second-receipt": "second receipt" } as const;
