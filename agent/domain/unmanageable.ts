/**
 * Why a domain cannot be adopted or moved: each reason with what is there, what is needed and what to do.
 *
 * Pure: the caller reads everything from libvirt while the guest runs; an empty list means that Ferry can stop this
 * machine, undefine it and put it back exactly (SAFETY R17, R18). Nothing here guesses: what Ferry does not know how
 * to restore is a reason.
 */

import type { DomainSummary } from "../os/hypervisor.js";
import { assignedElements } from "./assigned-devices.js";
import { type DiskRules, diskRefusals } from "./disk-refusals.js";
import { type Domain, readDomain } from "./domain-xml.js";
import { type HostPath, hostPaths } from "./host-paths.js";
import { type LiveDifference, liveDifferences } from "./live-differences.js";
import { pciAddressOf } from "./pci-address.js";
import { type Refusal, refusal } from "./refusal.js";
import { attributeOf, childOf, childrenOf, type Element, parseXml, textOf } from "./xml-document.js";

export interface Inspection {
  readonly summary: DomainSummary;
  readonly inactiveXml: string;
  /** Undefined when the domain is not active. */
  readonly liveXml: string | undefined;
  readonly snapshotXmls: readonly string[];
  readonly checkpointXmls: readonly string[];
  readonly jobs: { readonly blockJobs: readonly string[]; readonly domainJob: boolean };
}

export interface ManageRules extends DiskRules {
  /** Whether this libvirt can re-create the metadata of an internal snapshot (and Ferry asks it to). */
  readonly canRecreateSnapshots: boolean;
  /** Whether a host path that is no disk can be provided on the other side; unknown classes are never asked about. */
  readonly acceptsHostPath: (path: HostPath) => boolean;
  /** Whether an alias of this host names the PCI device at an address, or behind a network port of that name. */
  readonly isNamed: (place: string) => boolean;
}

export function whyUnmanageable(inspection: Inspection, rules: ManageRules): Refusal[] {
  const domain = readDomain(inspection.inactiveXml);
  return [
    ...stateRefusals(inspection.summary),
    ...jobRefusals(inspection, domain),
    ...liveRefusals(inspection),
    ...snapshotRefusals(inspection, rules),
    ...deviceRefusals(domain, rules),
    ...domain.disks.flatMap(disk => diskRefusals(disk, rules)),
    ...hostPathRefusals(domain, rules),
  ];
}

function stateRefusals(summary: DomainSummary): Refusal[] {
  const { name, state } = summary;
  const found: Refusal[] = [];
  if (!summary.persistent) {
    const fix = `virsh dumpxml ${name} > ${name}.xml && virsh define ${name}.xml`;
    found.push(
      refusal("transient", `${name} is a transient domain`, "transient", "a persistent domain", fix),
    );
  }
  if (state === "paused") {
    const fix = `virsh resume ${name}, or virsh destroy ${name}`;
    found.push(refusal("paused", `${name} is paused`, "paused", "running or shut off", fix));
  } else if (!["running", "blocked", "shut-off"].includes(state)) {
    const fix = `bring ${name} to a stop or let it run, then try again`;
    found.push(refusal("bad-state", `${name} is ${state}`, state, "running or shut off", fix));
  }
  if (summary.hasManagedSave) {
    const fix = `virsh start ${name} to resume it, or virsh managedsave-remove ${name} to discard its memory`;
    const message = `${name} has a managed-save image`;
    found.push(refusal("managed-save", message, "saved memory", "no managed-save image", fix));
  }
  return found;
}

function jobRefusals({ summary, jobs, liveXml }: Inspection, domain: Domain): Refusal[] {
  const { name } = summary;
  const live = liveXml === undefined ? domain : readDomain(liveXml);
  const mirrored = live.disks.filter(disk => disk.hasMirror).map(disk => disk.targetDev);
  const found = [...new Set([...jobs.blockJobs, ...mirrored])].map(disk =>
    refusal(
      "block-job",
      `a block job runs on disk ${disk} of ${name}`,
      `a job on ${disk}`,
      "no block job",
      `wait for it, or virsh blockjob ${name} ${disk} --abort`,
    ),
  );
  if (jobs.domainJob) {
    const fix = `wait for it (virsh domjobinfo ${name}), or virsh domjobabort ${name}`;
    found.push(
      refusal("domain-job", `a job (backup, save or migration) runs on ${name}`, "a job", "no job", fix),
    );
  }
  return found;
}

const DIFFERENCE_FIX: Readonly<Record<LiveDifference["kind"], string>> = {
  "only-live": "detach it, or attach it with --config as well",
  "only-inactive": "restart the guest so that it gets it, or remove it from the definition",
  changed: "restart the guest so that both are equal, or change the definition back",
};

function liveRefusals({ summary, inactiveXml, liveXml }: Inspection): Refusal[] {
  if (liveXml === undefined) return [];
  return liveDifferences(inactiveXml, liveXml).map(({ kind, what }) => {
    const where = {
      "only-live": "running guest only",
      "only-inactive": "definition only",
      changed: "both, unlike",
    };
    const message = `${summary.name}: ${what} differs between the running guest and its definition`;
    return refusal("live-differs", message, where[kind], "running guest = definition", DIFFERENCE_FIX[kind]);
  });
}

function snapshotRefusals(inspection: Inspection, rules: ManageRules): Refusal[] {
  const { name } = inspection.summary;
  const snapshots = inspection.snapshotXmls
    .filter(xml => !(rules.canRecreateSnapshots && isInternalSnapshot(xml)))
    .map(xml => {
      const snapshot = textOf(childOf(parseXml(xml, "domainsnapshot"), "name")) ?? "without a name";
      const message = `snapshot ${snapshot} of ${name} cannot be re-created`;
      const fix = `virsh snapshot-delete ${name} ${snapshot}`;
      return refusal("snapshot", message, snapshot, "no such snapshot", fix);
    });
  const checkpoints = inspection.checkpointXmls.map(xml => {
    const checkpoint = textOf(childOf(parseXml(xml, "domaincheckpoint"), "name")) ?? "without a name";
    const message = `checkpoint ${checkpoint} of ${name} cannot be re-created`;
    const fix = `virsh checkpoint-delete ${name} ${checkpoint}`;
    return refusal("checkpoint", message, checkpoint, "no checkpoint", fix);
  });
  return [...snapshots, ...checkpoints];
}

function isInternalSnapshot(xml: string): boolean {
  const root = parseXml(xml, "domainsnapshot");
  const disks = childOf(root, "disks");
  const kinds = [childOf(root, "memory"), ...(disks ? childrenOf(disks, "disk") : [])];
  return kinds.every(element => attributeOf(element, "snapshot") !== "external");
}

/** Interfaces that another host can provide under the same or a mapped name. */
const MOVABLE_INTERFACES: readonly string[] = ["bridge", "network", "user"];

function deviceRefusals(domain: Domain, rules: ManageRules): Refusal[] {
  const named = assignedElements(domain.root).filter(({ place }) => rules.isNamed(place));
  const isNamed = (device: Element) => named.some(({ element }) => element === device);
  const { name, hostdevs, filesystems } = domain;
  const devices = hostdevs
    .filter(device => !isNamed(device))
    .map(device => {
      const type = attributeOf(device, "type") ?? "";
      const which = pciAddressOf(childOf(device, "source", "address")) ?? type;
      const message = `${name} has a ${type} device of its host assigned (${which})`;
      if (type !== "pci")
        return refusal("hostdev", message, `hostdev ${type}`, "no assigned device", "detach it");
      return refusal("hostdev", `${message}, which no alias names`, which, "an alias for it", NAME_FIX);
    });
  const shares = filesystems.map(share => {
    const tag = attributeOf(childOf(share, "target"), "dir") ?? "";
    const message = `${name} shares a directory of its host (${tag})`;
    return refusal("filesystem", message, `filesystem ${tag}`, "no shared directory", "remove it");
  });
  return [...devices, ...shares, ...interfaceRefusals(domain, isNamed), ...secretRefusals(domain)];
}

const NAME_FIX = "name it in [[pci_alias]] of this host's agent.toml, or detach it";

const interfaceRefusals = ({ name, interfaces }: Domain, isNamed: (device: Element) => boolean): Refusal[] =>
  interfaces
    .filter(({ type, element }) => !MOVABLE_INTERFACES.includes(type) && !isNamed(element))
    .map(({ type, mac = "without a MAC" }) => {
      const message = `interface ${mac} of ${name} is of type ${type}`;
      return refusal(
        "interface",
        message,
        type,
        "a bridge or network",
        "connect it to a bridge or a network, or give its device an alias with physical_network",
      );
    });

/** A secret of libvirt's stays on its host: what it opens could not be opened elsewhere. */
function secretRefusals({ name, root }: Domain): Refusal[] {
  const encryption = childOf(root, "devices", "tpm", "backend", "encryption");
  if (!encryption) return [];
  const secret = attributeOf(encryption, "secret") ?? "";
  const message = `the TPM state of ${name} is encrypted with a secret of this host`;
  return [
    refusal("secret", message, `secret ${secret}`, "no secret of libvirt", "use a TPM without encryption"),
  ];
}

/** Disks are judged by their own rules, with the places of all the others in the table of `host-paths.ts`. */
function hostPathRefusals(domain: Domain, rules: ManageRules): Refusal[] {
  const ofDisks = new Set(domain.disks.map(disk => childOf(disk.element, "source")));
  return hostPaths(domain.root)
    .filter(path => !ofDisks.has(path.element))
    .filter(path => path.class === "unknown" || !rules.acceptsHostPath(path))
    .map(path => {
      const message = `${path.place} names ${path.path} on the host`;
      const fix = "remove it from the definition, or provide it on every host and allow it";
      return refusal("host-path", message, `${path.class} ${path.path}`, "a path that can be provided", fix);
    });
}
