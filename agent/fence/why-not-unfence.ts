/**
 * Could a fenced incarnation be given back now? Asked before a revert stops the target, while that still runs
 * (SAFETY R2), and changes nothing.
 *
 * Every problem found is one line; none means that `unfence` has what it needs. What cannot be looked at is a fault.
 */

import { Fault } from "../../proto/fault.js";
import { identityOf, lastingIdentityOf } from "../disk/block-device.js";
import type { BlockDevices } from "../disk/block-devices.js";
import type { FileFacts, Files } from "../os/files.js";
import type { Hypervisor } from "../os/hypervisor.js";
import type { FencedDevice, FencedFile, FenceJournal, FenceKey, FenceRecord } from "./fence-record.js";
import { factsAt, locate } from "./set-aside.js";

export interface WhyNotUnfenceEdges {
  readonly hypervisor: Pick<Hypervisor, "findDomain" | "findDomainByName" | "domainXml">;
  readonly incarnationOf: (domainXml: string) => string | undefined;
  readonly files: Pick<Files, "facts">;
  readonly blockDevices: Pick<BlockDevices, "read" | "writes">;
  readonly journal: Pick<FenceJournal, "find">;
  /** What has the name of a fenced file belongs to the other side of the migration on this host, and goes with it. */
  readonly goesWithTarget: (path: string, facts: FileFacts) => Promise<boolean>;
}

export async function whyNotUnfence(edges: WhyNotUnfenceEdges, key: FenceKey): Promise<string[]> {
  const record = await edges.journal.find(key);
  if (record?.state !== "fenced")
    return [`${key.incarnation} is ${record?.state ?? "unknown here"}, not fenced`];
  const problems = await Promise.all(record.files.map(file => fileProblem(edges, file)));
  const ofDevices = await Promise.all(
    (record.devices ?? []).map(
      async device => (await deviceProblem(edges, device)) ?? (await writtenProblem(edges, device)),
    ),
  );
  return [...problems, ...ofDevices, await nameProblem(edges, record)].filter(
    problem => problem !== undefined,
  );
}

/** Whether it is still here, and still the one that was fenced; the target's guest may have it open. */
export async function deviceProblem(
  { blockDevices }: { readonly blockDevices: Pick<BlockDevices, "read"> },
  { path, identity, isCopied = false }: FencedDevice,
): Promise<string | undefined> {
  try {
    const device = await blockDevices.read(path);
    if ((isCopied ? lastingIdentityOf(device) : identityOf(device)) === identity) return undefined;
    return `the block device ${path} is another one than was fenced`;
  } catch (error) {
    if (error instanceof Fault && !error.isUnknown) return error.message;
    throw error;
  }
}

/** The target has a file of its own: what was written to the device since, no guest of this migration has. */
async function writtenProblem(
  { blockDevices }: Pick<WhyNotUnfenceEdges, "blockDevices">,
  { id, path, asFenced }: FencedDevice,
): Promise<string | undefined> {
  // Counted anew since a reboot: then nobody knows.
  if (asFenced === undefined || (await blockDevices.read(path)).kernelId !== asFenced.kernelId)
    return undefined;
  if (`${await blockDevices.writes(path)}` === asFenced.writes) return undefined;
  return `${id}: ${path} was written to since it was fenced`;
}

async function fileProblem(edges: WhyNotUnfenceEdges, file: FencedFile): Promise<string | undefined> {
  try {
    const place = await locate(edges.files, file);
    const facts = await factsAt(edges.files, place);
    if (place !== file.asidePath) return `${file.id} was moved back to ${place}`;
    // What is shared keeps what the target wrote.
    const isOurs = file.mode === "copied" || file.mode === "re-created";
    if (isOurs && (facts?.sizeBytes !== file.sizeBytes || facts.mtimeNs !== file.mtimeNs)) {
      return `${file.id} at ${place} was changed since it was fenced`;
    }
  } catch (error) {
    if (error instanceof Fault && error.code === "corrupt") return error.message;
    throw error;
  }
  const taking = file.asidePath === file.path ? undefined : await factsAt(edges.files, file.path);
  if (taking === undefined || (await edges.goesWithTarget(file.path, taking))) return undefined;
  return `${file.path} is taken by another file`;
}

/** On the same host another incarnation of the server has name and uuid until it is withdrawn, which comes first. */
async function nameProblem(edges: WhyNotUnfenceEdges, record: FenceRecord): Promise<string | undefined> {
  const { hypervisor, incarnationOf } = edges;
  const own = await hypervisor.findDomain(record.server);
  const marked = own && incarnationOf(await hypervisor.domainXml(record.server, "inactive"));
  if (own && (marked === undefined || marked === record.incarnation)) {
    return `${own.name} is defined on this host with the server's uuid`;
  }
  const namesake = record.saved && (await hypervisor.findDomainByName(record.saved.name));
  if (!namesake || namesake.uuid === record.server) return undefined;
  return `the name ${namesake.name} is taken on this host by ${namesake.uuid}`;
}
