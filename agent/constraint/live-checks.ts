/**
 * What only a move of the running guest would stumble over. Ferry moves servers cold; whoever wants to move one live with
 * other tools learns here what stands in the way on this host.
 */

import type { SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import { assignedElements } from "../domain/assigned-devices.js";
import { readDomain } from "../domain/domain-xml.js";
import { attributeOf, childOf } from "../domain/xml-document.js";
import type { Check, Objection } from "./check.js";
import { refused } from "./check.js";
import type { TargetFacts } from "./target-facts.js";

const running: Check = {
  name: "running",
  source: "virDomainGetState on the source",
  judge: () => [],
  live: (_target, { powerState }) =>
    powerState === "RUNNING"
      ? []
      : [
          refused("only a running guest moves live", {
            have: powerState,
            need: "RUNNING",
            fix: "start it, or move it cold",
          }),
        ],
};

const MIB = 1024 * 1024;

/** Their content would go over the wire while the guest writes on; what QEMU leaves out must be there already. */
const localDisks: Check = {
  name: "local-disks",
  source: "the domain's definition, extents of its files",
  judge: () => [],
  live: (_target, { files, dataBytes, domainXml }) => [
    ...files
      .filter(({ kind }) => kind === "media")
      .map(({ id, path }) =>
        leftOut(`${id} is a CD-ROM or read-only drive, which a block migration leaves out`, path),
      ),
    ...readDomain(domainXml)
      .disks.filter(({ device, hasSource, shareable }) => (device === "cdrom" && hasSource) || shareable)
      .filter(({ sourcePath }) => !files.some(({ kind, path }) => kind === "media" && path === sourcePath))
      .map(({ targetDev, sourcePath = "" }) =>
        leftOut(
          `${targetDev} is a CD-ROM (an iso9660 config drive, too) or shared, which a block migration leaves out`,
          sourcePath,
        ),
      ),
    ...(dataBytes > BLOCK_MIGRATION_BYTES_MOST
      ? [
          refused("its local disks would have to be mirrored while the guest runs", {
            have: `${Math.ceil(dataBytes / MIB)} MiB of data on local disks`,
            need: `at most ${BLOCK_MIGRATION_BYTES_MOST / MIB} MiB, or disks on storage that both hosts share`,
            fix: "move it cold, or put the disks on a volume",
          }),
        ]
      : []),
  ],
};

/** More than that is copied faster, and with less harm to the guest, while it is off. */
const BLOCK_MIGRATION_BYTES_MOST = 100 * 1024 * MIB;

const leftOut = (message: string, path: string): Objection =>
  refused(message, { have: path, need: "no such drive", fix: "eject it, or move the server cold" });

/** For the check of devices: what is passed through is a part of one host while the guest runs. */
export function liveDevices(_target: TargetFacts, { domainXml }: SourceManifest): Objection[] {
  const passed = assignedElements(readDomain(domainXml).root).filter(({ kind }) => kind !== "macvtap");
  return passed.map(({ place, element }) => {
    const mac = attributeOf(childOf(element, "mac"), "address");
    return refused("a device that is passed through does not move with a running guest", {
      have: mac === undefined ? place : `${place} (${mac})`,
      need: "no such device",
      fix: "detach it first, or move the server cold",
    });
  });
}

/** For the check of pages: the memory is sent page by page, so their size stays. */
export function livePageSize({ needs, hardware }: TargetFacts, { domainXml }: SourceManifest): Objection[] {
  const before = pageSizeIn(domainXml);
  const now = needs.hugePages.map(({ sizeKib }) => sizeKib ?? 0).join(",");
  if (before === now || hardware.problem !== undefined) return [];
  return [
    refused("Requested page size is different from current page size.", {
      have: before || "ordinary pages",
      need: now || "ordinary pages",
      fix: "name the size in hw:mem_page_size, or move the server cold",
    }),
  ];
}

function pageSizeIn(domainXml: string): string {
  const element = childOf(readDomain(domainXml).root, "memoryBacking", "hugepages");
  return element === undefined ? "" : (attributeOf(childOf(element, "page"), "size") ?? "0");
}

export const LIVE_CHECKS: readonly Check[] = [running, localDisks];
