/**
 * The servers of the load: most are switched off, each with a small disk of random data, raw and qcow2 in turn; a few run, with
 * guests that prove their own data. Server number i is at home on host i modulo the number of hosts.
 */

import { bareServer } from "../../lab/bare-guest.js";
import { IMAGE_DIR } from "../../lab/guest.js";
import type { Host, Lab } from "../../lab/lab.js";
import { LabServer } from "../../lab/lab-server.js";

export interface Resident {
  readonly name: string;
  readonly uuid: string;
  readonly home: Host;
  readonly target: Host;
  readonly priority: number;
  /** Of its disk's bytes; empty for one whose guest runs and says so itself. */
  readonly digest: string;
  readonly disk: string;
  readonly guest?: LabServer;
}

export interface Population {
  readonly hosts: number;
  readonly servers: number;
  readonly running: number;
}

const hostAt = (index: number, { hosts }: Population): Host => `h${(index % hosts) + 1}`;

/** Further on by one, two, … hosts, never back to its own. */
const targetOf = (index: number, population: Population): Host =>
  hostAt(index + 1 + (Math.floor(index / population.hosts) % (population.hosts - 1)), population);

export async function populate(lab: Lab, population: Population): Promise<Resident[]> {
  const indexes = Array.from({ length: population.servers }, (_, index) => index);
  const hosts = Array.from({ length: population.hosts }, (_, index) => index);
  const byHost = hosts.map(async host => {
    const own = indexes.filter(index => index % population.hosts === host);
    await lab.output(hostAt(host, population), ["sh", "-eu"], {
      input: own
        .filter(index => index >= population.running)
        .map(diskScript)
        .join("\n"),
    });
    const residents: Resident[] = [];
    for (const index of own) residents.push(await settle(lab, index, population));
    return residents;
  });
  return (await Promise.all(byHost)).flat();
}

const nameOf = (index: number): string => `s${String(index).padStart(2, "0")}`;
const formatOf = (index: number): "raw" | "qcow2" => (index % 2 === 0 ? "raw" : "qcow2");
const diskOf = (index: number): string => `${IMAGE_DIR}/${nameOf(index)}.${formatOf(index)}`;

/** One MiB of random data somewhere in eight. */
const diskScript = (index: number): string => {
  const raw = `${IMAGE_DIR}/${nameOf(index)}.raw`;
  const lines = [
    `truncate -s 8M ${raw}`,
    `dd if=/dev/urandom of=${raw} bs=64k count=16 seek=${index % 100} conv=notrunc status=none`,
  ];
  if (formatOf(index) === "qcow2")
    lines.push(`qemu-img convert -q -f raw -O qcow2 ${raw} ${diskOf(index)}`, `rm ${raw}`);
  return lines.join("\n");
};

async function settle(lab: Lab, index: number, population: Population): Promise<Resident> {
  const [name, home, disk] = [nameOf(index), hostAt(index, population), diskOf(index)];
  // Every tenth is in a hurry.
  const place = { name, home, target: targetOf(index, population), priority: index % 10 === 9 ? 2 : 0 };
  if (index < population.running) {
    const small = { memoryMib: 128, knobs: ["lab.blobmb=4"], bootsKernel: true };
    const guest = await LabServer.adopt(lab, home, { name, ...small });
    return { ...place, uuid: guest.uuid, digest: "", disk: "", guest };
  }
  const uuid = await bareServer(lab, home, { name, format: formatOf(index), file: disk, isOff: true });
  return { ...place, uuid, disk, digest: await digestOn(lab, home, disk) };
}

export const digestOn = async (lab: Lab, host: Host, file: string): Promise<string> =>
  (await lab.output(host, ["sha256sum", file])).split(" ")[0] ?? "";
