/**
 * prepare-source: what the source can say against its own migration, and what there is to move. The guest goes on
 * running; nothing is changed but the journal.
 */

import { asFault, Fault } from "../../proto/fault.js";
import { toFaultInfo } from "../../proto/fault-info.js";
import type { PrepareSource, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import { refusal } from "../claim/refusal.js";
import type { DeclaredRoles, DiskRole } from "../disk/disk-layout.js";
import type { Guest } from "../journal/guests.js";
import { readOnlyDrivesOf, type Survey, surveyDomain } from "../survey-domain.js";
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
  const { incarnation, disks, mayHaveRun } = activeGuest(call, world);
  const document: SourceDocument = { manifest, readOnlyDrives, incarnation, row: { disks, mayHaveRun } };
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
  { readOnlyDrives: drives, diskFormat, compression }: PrepareSource,
  call: Call,
  world: World,
): Promise<SourceDescription> {
  const guest = activeGuest(call, world);
  const hookProblem = world.hook.problem();
  const survey = await surveyManaged(guest, readOnlyDrivesOf(drives), world);
  const unguarded = refusal("refused", `the libvirt hook does not guard the source: ${hookProblem}`, {
    fix: "restart libvirtd, then try again",
  });
  const refusals = [
    ...(hookProblem === "" ? [] : [unguarded]),
    ...survey.refusals,
    ...lostBy(diskFormat, survey),
    ...uncompressed(compression, world),
  ];
  if (refusals.length > 0) return { refusals, manifest: undefined };
  const manifest = await manifestOf(survey, { digests: true }, call, world);
  return { refusals, manifest: { ...manifest, facts: await sourceFacts(survey, world) } };
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
  new Map(
    guest.disks
      .filter(disk => disk.role === "root" || disk.role === "ephemeral" || disk.role === "swap")
      .map(disk => [disk.targetDev, disk.role as DiskRole] as const),
  );
