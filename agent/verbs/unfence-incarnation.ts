/**
 * Back to what was saved (SAFETY R4, R9): only with the target's mirror receipt at the present epoch. Tolerates a
 * source that was never fenced: then there is nothing to bring back, and at most the guest to start.
 */

import { Fault } from "../../proto/fault.js";
import type { FencedHost, StoppedGuest, UnfenceIncarnation } from "../../proto/gen/ferry/v1/agent.js";
import type { Declaration, FenceRecord } from "../fence/fence-record.js";
import { unfence } from "../fence/unfence.js";
import { activeGuest } from "./prepare-source.js";
import { verifiedReceipt } from "./signed-receipt.js";
import { fenceKey, finalDocument, sourceDocument } from "./source-document.js";
import { startGuest } from "./start-domain.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const unfenceIncarnation: Verb<UnfenceIncarnation> = async (
  { mirrorReceipt, start, peerHost, fencedHost },
  call,
  world,
) => {
  const { incarnation, row } = sourceDocument(call, world);
  const record = await world.fence.journal.find(fenceKey(call, incarnation));
  if (record === undefined) activeGuest(call, world);
  else {
    // The word that counts is that of the host for which this side's own receipt was made, whomever the caller names.
    const host = finalDocument(call, world)?.peerHost ?? peerHost;
    const word =
      fencedHost === undefined
        ? { mirror: verifiedReceipt(mirrorReceipt, { kind: "mirror", host }, call, world) }
        : { declared: declarationFor(host, fencedHost) };
    const { serverId: server, migrationId: migration, epoch } = call;
    await unfence(world.fence, { server, migration, incarnation, epoch }, word);
    await noteUncounted(record, call, world);
  }
  world.guests.update(call.serverId, { ...row, role: "active", incarnation });
  world.documents.remove(call.serverId, call.migrationId, "final");
  if (start && ranBefore(call, world)) await startGuest(call.serverId, incarnation, world);
  return result();
};

/** Since a reboot nobody knows how much was written to a device before it. */
async function noteUncounted({ devices = [] }: FenceRecord, call: Call, world: World): Promise<void> {
  for (const { id, path, asFenced } of devices) {
    if (asFenced === undefined || (await world.blockDevices.read(path)).kernelId === asFenced.kernelId)
      continue;
    call.note(
      `${id} is ${path} as it is now: whether anybody wrote to it before its host was started anew is not known`,
    );
  }
}

/** A word about another host than the one that holds the other incarnation says nothing. */
function declarationFor(host: string, declared: FencedHost): Declaration {
  if (declared.host === host && declared.by !== "" && declared.reason !== "") return declared;
  throw new Fault(
    "refused",
    `the declaration that ${declared.host || "a host"} is dead does not serve here`,
    {
      need: `${host}, with a name and a reason`,
    },
  );
}

const ranBefore = (call: Call, world: World): boolean =>
  world.documents.get<StoppedGuest>(call.serverId, call.migrationId, "stopped")?.wasRunning ?? false;
