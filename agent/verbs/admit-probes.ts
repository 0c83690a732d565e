/**
 * After a restart: the sources of targets that are prepared may measure the path to here, as they were told. Preparing
 * is answered from the journal from then on, so nobody else would let them in.
 */

import type { TargetDocument } from "./target-document.js";
import type { World } from "./verb.js";

export function admitProbes({ documents, guests, transfer }: World): void {
  for (const { serverId, migrationId, body } of documents.list<TargetDocument>("target")) {
    const guest = guests.find(serverId);
    if (guest?.role !== "incoming" || guest.migrationId !== migrationId) continue;
    const { sourceHost, plan } = body;
    transfer.admitProbe({ migrationId, serverId, epoch: guest.epoch, sourceHost, token: plan.token });
  }
}
