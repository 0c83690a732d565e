/**
 * What a host holds on behalf of one server: files, a domain, leave to start. Compared before and after a failure,
 * they show that nothing was left over and nothing is missing.
 */

import type { Host as HostRecord } from "../../proto/gen/ferry/v1/model.js";
import { IMAGE_DIR } from "./guest.js";
import type { Host, Lab } from "./lab.js";
import { ferryJson, type LabServer } from "./lab-server.js";

export interface Traces {
  /** Of its image files, also those moved aside or half received. */
  readonly files: readonly string[];
  readonly isDefined: boolean;
  /** What the hook reads: `allow` or `deny`, or nothing when the host does not know the server. */
  readonly verdict: string;
}

export const NO_TRACES = { files: [], isDefined: false } as const;

export async function tracesOf(
  { lab, name, uuid }: Pick<LabServer, "lab" | "name" | "uuid">,
  host: Host,
): Promise<Traces> {
  const files = await lab.output(host, ["find", IMAGE_DIR, "-name", `${name}[.-]*`, "-printf", "%f\n"]);
  const guestFile = await lab.exec(host, ["cut", "-d ", "-f1", `/var/lib/ferry/guests/${uuid}`]);
  return {
    files: files.split("\n").filter(Boolean).sort(),
    isDefined: (await lab.exec(host, ["virsh", "dominfo", uuid])).code === 0,
    verdict: guestFile.stdout.trim(),
  };
}

/** Megabytes of memory that the controller has booked, by host. */
export async function bookedMemory(lab: Lab): Promise<Record<string, number>> {
  const hosts = await ferryJson<HostRecord[]>(lab, "host", "list");
  const used = hosts.map(({ name, inventories }) => {
    const memory = inventories.find(({ resourceClass }) => resourceClass === "MEMORY_MB");
    return [name, memory?.used ?? -1] as const;
  });
  return Object.fromEntries(used);
}
