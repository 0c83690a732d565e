/** What is really on a host, found out with tools that know nothing of Ferry. */

import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import type { Host, Lab } from "../lab.js";

/** Everything that belongs to a guest: disks and consoles, firmware variables, TPM state. */
const PLACES = ["/var/lib/libvirt/images", "/var/lib/libvirt/qemu/nvram", "/var/lib/libvirt/swtpm"];

/** Gigabytes of holes are read, perhaps while guests keep every core busy. */
const DIGEST_TIMEOUT_MS = 120_000;

/** Every file there, with its path. */
export async function filesOn(lab: Lab, host: Host): Promise<string[]> {
  const script = `find ${PLACES.join(" ")} -type f -not -name .lock 2>/dev/null | sort`;
  return lines(await lab.output(host, ["sh", "-c", script]));
}

/** Inode, owner, mode, size, time of change and content of each file: two equal answers mean nothing was touched. */
export async function fingerprints(lab: Lab, host: Host, files: readonly string[]): Promise<string[]> {
  const facts = lines(await lab.output(host, ["stat", "-c", "%n %i %U:%G %a %s %y", ...files]));
  const digests = await digestsOf(lab, host, files);
  return facts.map((line, index) => `${line} ${digests[index]}`);
}

export async function allocatedBytes(lab: Lab, host: Host, file: string): Promise<number> {
  return 1024 * Number.parseInt(await lab.output(host, ["du", "-k", file]), 10);
}

/** Roots of digest trees, computed by another program than Ferry. */
export async function digestsOf(lab: Lab, host: Host, files: readonly string[]): Promise<string[]> {
  const program = "digest-tree.py";
  await copyFile(join(import.meta.dirname, program), lab.path(host, `/run/shared/${program}`));
  const argv = ["python3", `/run/shared/${program}`, ...files];
  return lines(await lab.output(host, argv, { timeoutMs: DIGEST_TIMEOUT_MS }));
}

/** Label, UUID and size of a swap disk. */
export async function swapFacts(lab: Lab, host: Host, file: string): Promise<string[]> {
  const [blkid, size] = await Promise.all([
    lab.output(host, ["blkid", "-p", "-o", "export", "-s", "TYPE", "-s", "LABEL", "-s", "UUID", file]),
    lab.output(host, ["stat", "-c", "%s", file]),
  ]);
  return [...lines(blkid).filter(line => !line.startsWith("DEVNAME")), `SIZE=${size}`];
}

/** The definition without Ferry's mark, which says which incarnation it is. */
export async function definitionOf(lab: Lab, host: Host, name: string): Promise<string> {
  const xml = await lab.output(host, ["virsh", "-q", "dumpxml", "--inactive", "--security-info", name]);
  return xml.replace(/\n *<metadata>[\s\S]*<\/metadata>/, "");
}

export async function domainsOn(lab: Lab, host: Host): Promise<string[]> {
  return lines(await lab.output(host, ["virsh", "-q", "list", "--all", "--name"]));
}

const lines = (text: string): string[] => text.split("\n").filter(line => line.trim() !== "");
