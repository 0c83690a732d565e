/**
 * prepare-source: what the source can say against its own migration, and what there is to move. The guest goes on
 * running; nothing is changed but the journal.
 */

import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import type { PrepareSource, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { Disk, FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import { lastingIdentityOf } from "../disk/block-device.js";
import { COUNT_THEM } from "../disk/block-devices.js";
import type { DeclaredRoles, DiskRole } from "../disk/disk-layout.js";
import type { Guest } from "../journal/guests.js";
import { blockDisksOf, readOnlyDrivesOf, type Survey, surveyDomain } from "../survey-domain.js";
import { chosenPolicy, keptPolicy } from "../transfer/compression.js";
import { requireSettledHook } from "./settled-hook.js";
import type { SourceDocument } from "./source-document.js";
import { sourceFacts } from "./source-facts.js";
import { manifestOf } from "./source-manifest.js";
import { writeNonces } from "./storage-proof.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareSource: Verb<PrepareSource> = async (request, call, world) => {
  requireSettledHook(world);
  const { refusals, manifest: described } = await describeSource(request, call, world);
  if (described === undefined || refusals.length > 0) return result({ refusals: [...refusals] });
  const folders = await writeNonces(described.folders, "source", call, world);
  const manifest: SourceManifest = { ...described, folders };
  const readOnlyDrives = readOnlyDrivesOf(request.readOnlyDrives);
  const blockDisks = blockDisksOf(request.blockDisks);
  const { incarnation, disks, mayHaveRun } = activeGuest(call, world);
  const row = { disks, mayHaveRun };
  const document: SourceDocument = { manifest, readOnlyDrives, blockDisks, incarnation, row };
  world.documents.put(call.serverId, call.migrationId, "source", document);
  return result({ manifest });
};

export interface SourceDescription {
  readonly refusals: readonly FaultInfo[];
  /** Absent when the source refuses. */
  readonly manifest: SourceManifest | undefined;
}

/** Everything that prepare-source answers, without journalling it. */
export async function describeSource(
  { readOnlyDrives: drives, diskFormat, compression, blockDisks: onDevices }: PrepareSource,
  call: Call,
  world: World,
): Promise<SourceDescription> {
  const guest = activeGuest(call, world);
  const hookProblem = world.hook.problem();
  const blockDisks = blockDisksOf(onDevices);
  const survey = await surveyManaged(guest, readOnlyDrivesOf(drives), world);
  const unguarded = refusal("refused", `the libvirt hook does not guard the source: ${hookProblem}`, {
    fix: "restart libvirtd, then try again",
  });
  const refusals = [
    ...(hookProblem === "" ? [] : [unguarded]),
    ...survey.refusals,
    ...lostBy(diskFormat, survey),
    ...uncompressed(compression, world),
    ...(blockDisks === "copy" ? await uncopied(survey, world) : []),
  ];
  if (refusals.length > 0) return { refusals, manifest: undefined };
  const manifest = await manifestOf(survey, { digests: true }, call, world);
  const onDevicesBytes = manifest.blockDevices.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const dataBytes = manifest.dataBytes + (blockDisks === "copy" ? onDevicesBytes : 0);
  return { refusals, manifest: { ...manifest, dataBytes, facts: await sourceFacts(survey, world) } };
}

/** A device has neither times nor a name to move to: to be fenced it must be known again, and its writes be counted. */
async function uncopied({ disks }: Survey, { blockDevices }: World): Promise<FaultInfo[]> {
  const found: FaultInfo[] = [];
  for (const { targetDev, blockDevice: device } of disks) {
    if (device === undefined) continue;
    const { path, kernelId, lacking } = device;
    if (lastingIdentityOf(device) === "")
      found.push(
        refusal(
          "refused",
          `disk ${targetDev}: ${path} would not be known again after a reboot of the source`,
          {
            have: lacking,
            need: "a whole disk, a logical volume or another device with a name or serial number",
            fix: "copy the disk to one by hand, with the guest off",
          },
        ),
      );
    if (kernelId === "" || (await blockDevices.writes(path)) === undefined)
      found.push(
        refusal("refused", `disk ${targetDev}: whether anybody writes to ${path} cannot be seen`, {
          have: kernelId === "" ? "a device without sequence number" : "writes that are not counted",
          need: "a count of its writes, in place of a file's time of modification",
          fix: COUNT_THEM,
        }),
      );
  }
  return found;
}

/** What lies in a qcow2 image beside the disk does not survive a conversion. */
function lostBy(diskFormat: string | undefined, { disks }: Survey): FaultInfo[] {
  if (diskFormat === undefined || diskFormat === "") return [];
  return disks.flatMap(({ targetDev, chain }) => {
    const { snapshotCount = 0, bitmapCount = 0 } = chain[0]?.header ?? {};
    if (snapshotCount + bitmapCount === 0) return [];
    const have = `${snapshotCount} internal snapshots, ${bitmapCount} bitmaps`;
    const fix = "delete them, or migrate without --disk-format";
    return [
      refusal("refused", `a conversion would lose what the image of ${targetDev} holds`, { have, fix }),
    ];
  });
}

/** What this host could not keep when the disks are sent. */
function uncompressed(asked: string | undefined, { config, engine }: World): FaultInfo[] {
  try {
    keptPolicy(chosenPolicy(asked, config.compression), engine.compressions);
    return [];
  } catch (error) {
    return [toFaultInfo(asFault(error))];
  }
}

/** The server as this host's own, or a fault that says what it is instead. */
export function activeGuest(call: Call, world: World): Guest {
  const guest = world.guests.find(call.serverId);
  if (guest?.role === "active") return guest;
  throw new Fault(
    "refused",
    `server ${call.serverId} is not active on this host but ${guest?.role ?? "unknown"}`,
    {
      fix: "ferry server show tells where it is",
    },
  );
}

export async function surveyManaged(
  guest: Guest,
  readOnlyDrives: "refuse" | "carry",
  world: World,
): Promise<Survey> {
  const summary = await world.hypervisor.findDomain(guest.serverId);
  if (summary === undefined) {
    throw new Fault("not-found", `server ${guest.serverId} is not defined in libvirt any more`, {
      fix: "define it again from its last XML, or delete the server",
    });
  }
  return surveyDomain(summary, { declared: rolesOf(guest), readOnlyDrives }, world);
}

/** Only what Ferry made or the operator named counts as declared; derived roles are derived again. */
const rolesOf = (guest: Guest): DeclaredRoles =>
  new Map(guest.disks.filter(isDeclared).map(disk => [disk.targetDev, disk.role as DiskRole] as const));

/** A file that was made of a block device is as little the flavor's as that was. */
const isDeclared = ({ role, mode }: Disk): boolean =>
  role === "root" || role === "ephemeral" || role === "swap" || (role === "volume" && mode === "copied");
