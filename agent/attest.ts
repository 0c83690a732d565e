/** What the journal and this host say about a server, read now (SAFETY R15: confirm relies on it). */

import type { AttestResponse } from "../proto/gen/ferry/v1/agent.js";
import { isPausedOnIoError } from "./heartbeat.js";
import type { Guest } from "./journal/guests.js";
import type { DomainSummary } from "./os/hypervisor.js";
import { powerStateOf } from "./power-state.js";
import type { World } from "./verbs/verb.js";

export async function attest(serverId: string, world: World): Promise<AttestResponse> {
  const guest = world.guests.find(serverId);
  const domain = await world.hypervisor.findDomain(serverId);
  const missing = await missingFiles(guest, world);
  return {
    role: guest?.role ?? "none",
    incarnation: guest?.incarnation ?? "",
    epoch: guest?.epoch ?? 0,
    domain: powerStateOf(domain),
    ioError: isPausedOnIoError(domain),
    mayHaveRun: guest?.mayHaveRun ?? false,
    filesPresent: missing.length === 0,
    drift: [...driftOf(guest, domain), ...missing.map(path => `file ${path} is missing`)],
  };
}

function driftOf(guest: Guest | undefined, domain: DomainSummary | undefined): string[] {
  if (guest?.role === "active" && domain === undefined)
    return ["the server is not defined in libvirt any more"];
  if (guest?.role === "fenced" && domain !== undefined)
    return ["the server is fenced here but defined in libvirt"];
  return [];
}

async function missingFiles(guest: Guest | undefined, world: World): Promise<string[]> {
  if (guest?.role !== "active") return [];
  const paths = guest.disks
    .filter(disk => disk.role !== "cdrom" && disk.mode !== "volume")
    .map(disk => disk.path);
  const present = await Promise.all(paths.map(path => world.exists(path)));
  return paths.filter((_, index) => !present[index]);
}
