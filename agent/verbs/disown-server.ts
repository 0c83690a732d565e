/**
 * What this host has of a server is not the server: it lives elsewhere, or was deleted, while this host was away and its
 * journal does not know (SAFETY R14, R21). Denied first, then ended if it runs, and never started by itself again.
 *
 * Nothing is undefined, moved or removed: what is here may be all that somebody has left of something.
 */

import { Fault } from "../../proto/fault.js";
import type { DisownServer } from "../../proto/gen/ferry/v1/agent.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const disownServer: Verb<DisownServer> = async ({ home }, call, world) => {
  const where = home === "" ? "was deleted" : `lives on ${home}`;
  await world.fence.guestFiles.deny(
    call.serverId,
    `this server ${where}; what this host has of it is a former copy`,
  );
  await endFormerCopy(where, call, world);
  world.bookings.dropServer(call.serverId);
  world.guests.update(call.serverId, {
    role: "retired",
    incarnation: "",
    migrationId: "",
    mayHaveRun: false,
    disks: [],
  });
  return result();
};

async function endFormerCopy(where: string, call: Call, world: World): Promise<void> {
  const { hypervisor, fence } = world;
  const { serverId } = call;
  const domain = await hypervisor.findDomain(serverId);
  if (domain !== undefined) {
    if (domain.autostart) await hypervisor.setAutostart(serverId, false);
    if (domain.state !== "shut-off") {
      call.note(`a former copy of ${domain.name} was running and has been ended`);
      await hypervisor.destroy(serverId, { graceful: false });
    }
    call.note(`kept: the definition of ${domain.name} and its disks, which may not start`);
  }
  const [orphan] = await fence.findProcesses(serverId);
  if (orphan === undefined) return;
  throw new Fault("failed", `a QEMU of ${serverId} runs that libvirt does not know: process ${orphan}`, {
    fix: `end process ${orphan}; it is a former copy of a server that ${where}`,
  });
}
