/**
 * Everything about one domain of this host that adopt and prepare-source must know, read without changing anything:
 * its definition, its disks told apart, and every reason why Ferry could not move it and put it back exactly.
 */

import { Fault } from "../proto/fault.js";
import type { AssignedDevice } from "../proto/gen/ferry/v1/agent.js";
import type { Disk, FaultInfo } from "../proto/gen/ferry/v1/model.js";
import { nameDevice } from "./claim/name-devices.js";
import { refusal } from "./claim/refusal.js";
import {
  type DeclaredRoles,
  type DiskRole,
  type LaidOutDisk,
  layOutDisks,
  probeDisks,
} from "./disk/disk-layout.js";
import { assignedElements } from "./domain/assigned-devices.js";
import { type Domain, readDomain } from "./domain/domain-xml.js";
import type { HostPath } from "./domain/host-paths.js";
import { type Inspection, whyUnmanageable } from "./domain/unmanageable.js";
import type { DomainSummary } from "./os/hypervisor.js";
import { readPciDevices } from "./probe/pci.js";
import { openTrees } from "./probe/roots.js";
import type { World } from "./verbs/verb.js";

export interface SurveyRules {
  readonly declared: DeclaredRoles;
  readonly readOnlyDrives: "refuse" | "carry";
}

export interface Survey {
  readonly summary: DomainSummary;
  readonly inactiveXml: string;
  /** Undefined when the domain is not active. */
  readonly liveXml: string | undefined;
  readonly domain: Domain;
  readonly disks: readonly LaidOutDisk[];
  readonly refusals: readonly FaultInfo[];
  readonly suggestions: readonly string[];
  /** In the order of `assignedElements`; those that no alias of this host names are refusals. */
  readonly assignedDevices: readonly AssignedDevice[];
}

/** States in which a domain has a live definition of its own. */
const ACTIVE = new Set(["running", "blocked", "paused", "shutting-down", "pm-suspended"]);

export async function surveyDomain(
  summary: DomainSummary,
  rules: SurveyRules,
  world: World,
): Promise<Survey> {
  const inspection = await inspect(summary, world);
  const domain = readDomain(inspection.inactiveXml);
  const assigned = await nameAssigned(domain, world);
  const unmanageable = whyUnmanageable(inspection, {
    imageDirectories: world.config.image_dirs,
    readOnlyDrives: rules.readOnlyDrives,
    canRecreateSnapshots: false,
    acceptsHostPath,
    isNamed: place => assigned.some(one => one.place === place && one.device !== undefined),
  });
  const refusals = unmanageable.map(({ message, have, need, fix }) =>
    refusal("refused", message, { have, need, fix }),
  );
  const layout = await layOut(domain, rules.declared, world);
  return {
    summary,
    domain,
    inactiveXml: inspection.inactiveXml,
    liveXml: inspection.liveXml,
    disks: layout.disks,
    refusals: [...refusals, ...layout.refusals],
    suggestions: layout.disks.flatMap(suggestionsOf),
    assignedDevices: assigned.flatMap(({ device }) => device ?? []),
  };
}

interface NamedPlace {
  readonly place: string;
  readonly device: AssignedDevice | undefined;
}

/** The devices of this host that the domain has, by the aliases of this host. */
async function nameAssigned({ root }: Domain, { roots, config, log }: World): Promise<NamedPlace[]> {
  const elements = assignedElements(root);
  if (elements.length === 0) return [];
  const { sys } = openTrees(roots, problem => log.debug({ problem }, "not known of this host"));
  const devices = await readPciDevices(sys);
  return elements.map(assigned => ({
    place: assigned.place,
    device: nameDevice(assigned, devices, config.pci_alias),
  }));
}

/** The roles that an operator named, as declarations. */
export function declaredRoles(
  swapDisks: readonly string[],
  ephemeralDisks: readonly string[],
): DeclaredRoles {
  const both = swapDisks.find(disk => ephemeralDisks.includes(disk));
  if (both !== undefined)
    throw new Fault("invalid-argument", `disk ${both} is named both swap and ephemeral`);
  const named = (disks: readonly string[], role: DiskRole) => disks.map(disk => [disk, role] as const);
  return new Map([...named(swapDisks, "swap"), ...named(ephemeralDisks, "ephemeral")]);
}

export const readOnlyDrivesOf = (word: string): "refuse" | "carry" => {
  if (word === "" || word === "refuse") return "refuse";
  if (word === "carry") return "carry";
  throw new Fault("invalid-argument", `read_only_drives is "refuse" or "carry", not ${JSON.stringify(word)}`);
};

/** Of disks on block devices that the target does not have. */
export const blockDisksOf = (word: string | undefined): "refuse" | "copy" => {
  if (word === undefined || word === "" || word === "refuse") return "refuse";
  if (word === "copy") return "copy";
  throw new Fault("invalid-argument", `block_disks is "refuse" or "copy", not ${JSON.stringify(word)}`);
};

export const diskOf = (disk: LaidOutDisk): Disk => ({
  targetDev: disk.targetDev,
  role: disk.role,
  path: disk.path ?? "",
  format: disk.format ?? "",
  virtualSizeBytes: disk.virtualSizeBytes,
  allocatedBytes: disk.allocatedBytes,
  backing: disk.chain
    .slice(1)
    .map(({ path, format, facts }) => ({ path, format, sizeBytes: facts.sizeBytes })),
  mode: modeOf(disk),
  reason: disk.reason,
  readOnly: disk.role === "media",
});

/** As far as the source alone can say; which files are shared is settled with the target. */
function modeOf({ volume, blockDevice, role }: LaidOutDisk): Disk["mode"] {
  if (volume !== undefined) return "volume";
  if (blockDevice !== undefined) return "shared";
  return role === "swap" ? "re-created" : "copied";
}

async function inspect(summary: DomainSummary, { hypervisor }: World): Promise<Inspection> {
  const { uuid } = summary;
  const isActive = ACTIVE.has(summary.state);
  return {
    summary,
    inactiveXml: await hypervisor.domainXml(uuid, "inactive"),
    liveXml: isActive ? await hypervisor.domainXml(uuid, "live") : undefined,
    snapshotXmls: await hypervisor.snapshotXmls(uuid),
    checkpointXmls: await hypervisor.checkpointXmls(uuid),
    jobs: isActive ? await hypervisor.runningJobs(uuid) : { blockJobs: [], domainJob: false },
  };
}

/** Whether a path could be provided on another host; whether it is there is prepare-target's question. */
function acceptsHostPath(path: HostPath): boolean {
  if (path.class === "device") return path.path === "/dev/urandom" || path.path === "/dev/random";
  return path.class !== "share" && path.class !== "unknown";
}

/** Images that break the rules make a refusal, not an exception: the other reasons matter too. */
async function layOut(
  domain: Domain,
  declared: DeclaredRoles,
  world: World,
): Promise<{ disks: LaidOutDisk[]; refusals: FaultInfo[] }> {
  try {
    const disks = layOutDisks(await probeDisks(world, domain), declared);
    const refusals = await Promise.all(disks.map(disk => claimRefusals(disk, world)));
    return { disks, refusals: refusals.flat() };
  } catch (error) {
    if (!(error instanceof Fault) || error.isUnknown) throw error;
    return { disks: [], refusals: [refusal("refused", error.message, error.detail)] };
  }
}

/** Mounted, or part of another device: then the guest is not alone with it. */
async function claimRefusals({ targetDev, blockDevice }: LaidOutDisk, world: World): Promise<FaultInfo[]> {
  if (blockDevice === undefined) return [];
  const { path } = blockDevice;
  const holder = await world.blockDevices.whyClaimed(path);
  if (holder === undefined) return [];
  return [
    refusal("refused", `disk ${targetDev}: the block device ${path} is not the guest's alone`, {
      have: holder,
      need: "a device that only the guest uses",
      fix: `see lsblk ${path}: unmount it, or name the multipath device that it belongs to`,
    }),
  ];
}

const suggestionsOf = (disk: LaidOutDisk): string[] => [...swapSuggestions(disk), ...deviceSuggestions(disk)];

const swapSuggestions = ({ suggestion, targetDev }: LaidOutDisk): string[] =>
  suggestion === undefined
    ? []
    : [
        `disk ${targetDev} looks like swap; name it with --swap-disk ${targetDev} if it is, or it will be copied as data`,
      ];

const deviceSuggestions = ({ blockDevice, targetDev }: LaidOutDisk): string[] =>
  blockDevice === undefined || blockDevice.worldWideId !== ""
    ? []
    : [
        `disk ${targetDev} lies on ${blockDevice.path}, and ${blockDevice.lacking}: no other host can be proven to have it, so the server leaves this one only as a file, with --block-disks copy`,
      ];
