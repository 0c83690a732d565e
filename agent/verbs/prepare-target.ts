/**
 * prepare-target: everything about this host that could refuse the server is tried while its guest still runs.
 *
 * Nothing but the journal is changed: a claim (memory, bytes), the plan (where each file will lie, the domain as it
 * will be defined) and the token that admits the disk data. All refusals are collected, not just the first.
 */

import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { PrepareTarget, SourceManifest, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import type { CheckResult, FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { Claim } from "../claim/claim.js";
import { bookingOf } from "../claim/hardware-booking.js";
import { type Placement, placeFiles, targetPathOf } from "../claim/place-files.js";
import { refusal } from "../claim/refusal.js";
import { bytesAvailable, memoryAvailableMib } from "../claim/room.js";
import { evaluate, refusalsOf } from "../constraint/checks.js";
import type { TargetFacts } from "../constraint/target-facts.js";
import { imageFormat } from "../disk/image-rules.js";
import { readDomain } from "../domain/domain-xml.js";
import { formatIncarnation } from "../domain/ferry-metadata.js";
import { guestNeeds } from "../domain/guest-needs.js";
import { rewriteForTarget } from "../domain/rewrite-for-target.js";
import { createToken } from "../transfer/messages.js";
import { fileDigest } from "./file-digest.js";
import { type HardwareForTarget, hardwareForTarget, isTargetOf } from "./hardware-for-target.js";
import { readHostFacts } from "./host-facts.js";
import { logPaths } from "./log-files.js";
import { compareGuestCpu, machineSupport } from "./machine-support.js";
import { awaitArrivals, otherArrivals } from "./other-arrivals.js";
import { portBandwidths } from "./port-bandwidths.js";
import { isSameHost, placeInPlace } from "./same-host.js";
import { requireSettledHook } from "./settled-hook.js";
import { STATE_DIRS } from "./state-dirs.js";
import { settleStorage, writeNonces } from "./storage-proof.js";
import { type TargetDocument, targetIncarnation } from "./target-document.js";
import { missingHostPaths, targetMapping } from "./target-mapping.js";
import { mapNetworks, missingNetworks } from "./target-networks.js";
import { shapeForTarget, type TargetShape } from "./target-shape.js";
import { volumeRefusals } from "./target-volumes.js";
import { trialDefinition } from "./trial-definition.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareTarget: Verb<PrepareTarget> = async (request, call, world) => {
  requireSettledHook(world);
  const { sourceHost } = request;
  const manifest = needed(request);
  const claimedBefore = claimsOfOthers(call, world);
  // Whoever is refused anyway need not wait.
  if (occupiedBy(sourceHost, call, world) === "")
    await awaitArrivals(sharedPaths(manifest, world), call, world);
  const placement = await place(request, call, world);
  const { flavor, extraSpecs, diskFormat = "" } = request;
  const convertTo = diskFormat === "" ? undefined : imageFormat(diskFormat);
  const shape = shapeForTarget(manifest, placement, flavor, extraSpecs, convertTo);
  // What cannot be resized cannot be written as a domain either.
  if (shape.refusals.length > 0) return result({ refusals: [...placement.refusals, ...shape.refusals] });
  const { domainXml, facts, results, hardware } = await examine(request, placement, shape, call, world);
  const { memoryMib, vcpus } = shape;
  const refusals = refusalsOf(results);
  if (refusals.length > 0) return result({ refusals });

  const folders = isSameHost(sourceHost, world)
    ? []
    : await writeNonces(manifest.folders, "target", call, world);
  const plan = { ...planOf(shape, domainXml, call, world), folders };
  // Somebody has planned the same base meanwhile, or claimed what was judged to be free. From here until plan and claim
  // are journalled nothing awaits.
  const received = plan.files.filter(({ mode }) => mode === "copied").map(({ path }) => path);
  if (otherArrivals(received, call, world).length > 0 || claimsOfOthers(call, world) !== claimedBefore)
    return prepareTarget(request, call, world);
  const claim: Claim = { memoryMib, vcpus, bytes: facts.bytesNeeded };
  const document: TargetDocument = { plan, manifest, sourceHost };
  world.atomically(() => {
    world.documents.put(call.serverId, call.migrationId, "target", document);
    world.documents.put(call.serverId, call.migrationId, "claim", claim);
    bookHardware(plan.incarnation, hardware, call, world);
    if (!isSameHost(sourceHost, world)) expectServer(document, call, world);
  });
  const { migrationId, serverId, epoch } = call;
  if (!isSameHost(sourceHost, world))
    world.transfer.admitProbe({ migrationId, serverId, epoch, sourceHost, token: plan.token });
  return result({ plan });
};

/** Changes whenever another server's claim on this host does. */
const claimsOfOthers = ({ migrationId }: Call, { documents, bookings }: World): string =>
  JSON.stringify([
    documents.list<Claim>("claim").filter(claim => claim.migrationId !== migrationId),
    bookings.list().filter(booking => booking.migrationId !== migrationId),
  ]);

function bookHardware(
  incarnation: string,
  { placement }: HardwareForTarget,
  call: Call,
  { bookings }: World,
): void {
  if (placement === undefined) throw new TypeError("what was not placed is refused");
  const { serverId, migrationId } = call;
  const earlier = bookings.list().filter(booking => isTargetOf(call)(booking.incarnation));
  for (const booking of earlier) bookings.drop(serverId, booking.incarnation);
  bookings.put({ serverId, migrationId, incarnation, hardware: bookingOf(placement) });
}

function expectServer({ plan, manifest }: TargetDocument, call: Call, world: World): void {
  const { migrationId, serverId } = call;
  world.guests.update(serverId, {
    role: "incoming",
    name: readDomain(manifest.domainXml).name,
    migrationId,
    incarnation: plan.incarnation,
    mayHaveRun: false,
    disks: plan.disks,
  });
}

/** Judges this host for a server as it is, and changes nothing. */
export async function checkHost(request: PrepareTarget, call: Call, world: World): Promise<CheckResult[]> {
  const placement = await place(request, call, world);
  const shape = shapeForTarget(needed(request), placement, undefined, request.extraSpecs);
  return (await examine(request, placement, shape, call, world)).results;
}

function needed({ manifest }: PrepareTarget): SourceManifest {
  if (manifest !== undefined) return manifest;
  throw new Fault("invalid-argument", "prepare-target needs the source's manifest");
}

interface Examination {
  /** The domain as it would be defined here. */
  readonly domainXml: string;
  readonly facts: TargetFacts;
  /** One for each check of the table. */
  readonly results: CheckResult[];
  readonly hardware: HardwareForTarget;
}

/** What prepare-target and a check ask alike. */
async function examine(
  request: PrepareTarget,
  placement: Placement,
  shape: TargetShape,
  call: Call,
  world: World,
): Promise<Examination> {
  const manifest = needed(request);
  const hardware = await hardwareForTarget(request, manifest, shape, call, world);
  const domainXml = rewritten(request, shape, hardware, call, world);
  const gathered = await gatherFacts(request, placement, shape, domainXml, call, world);
  const facts: TargetFacts = { ...gathered, hardware };
  const { memoryMib, vcpus } = shape;
  return { domainXml, facts, hardware, results: evaluate(facts, { ...manifest, memoryMib, vcpus }) };
}

/** What this host has to do with the server already; empty: nothing, this very migration, or it is resized here. */
function occupiedBy(sourceHost: string, { serverId, migrationId }: Call, world: World): string {
  const guest = world.guests.find(serverId);
  if (isSameHost(sourceHost, world) && guest?.role === "active" && guest.migrationId === "") return "";
  if (guest === undefined || guest.role === "none" || guest.role === "retired") return "";
  if (guest.role === "incoming" && guest.migrationId === migrationId) return "";
  return `${guest.role} (migration ${guest.migrationId || "none"})`;
}

const foldersOf = ({ config }: World) => ({ imageDirs: config.image_dirs, stateDirs: STATE_DIRS });

/** Where files that other servers may live on as well will lie. */
const sharedPaths = ({ files }: SourceManifest, world: World): string[] =>
  files.filter(({ kind }) => kind === "backing").flatMap(file => targetPathOf(file, foldersOf(world)) ?? []);

async function place(request: PrepareTarget, call: Call, world: World): Promise<Placement> {
  const manifest = needed(request);
  if (isSameHost(request.sourceHost, world)) return placeInPlace(manifest.files);
  const folders = foldersOf(world);
  const storage = await settleStorage(manifest, world);
  const taken = manifest.files.map(async file => {
    const path = targetPathOf(file, folders);
    if (path === undefined || !(await world.exists(path))) return [];
    const isShared = storage.get(dirname(file.path)) === "shared";
    const isComparable = file.kind === "backing" && file.digest !== "" && !isShared;
    return [{ path, digest: isComparable ? await fileDigest(path, file.sizeBytes, call, world) : "" }];
  });
  return placeFiles(manifest.files, folders, (await Promise.all(taken)).flat(), storage);
}

/** QEMU would write over somebody else's log, and an unwinding would remove it. Copied files were placed with care. */
async function takenNames(
  sourceHost: string,
  { files }: TargetShape,
  domainXml: string,
  world: World,
): Promise<FaultInfo[]> {
  // The server's own logs are set aside with its disks.
  const logs = isSameHost(sourceHost, world) ? [] : logPaths(domainXml, world);
  const names = [
    ...files.filter(({ mode }) => mode === "added").map(({ path }) => ({ what: "the added disk", path })),
    ...logs.map(path => ({ what: "the guest's log", path })),
  ];
  const taken = await Promise.all(names.map(({ path }) => world.exists(path)));
  return names
    .filter((_, index) => taken[index])
    .map(({ what, path }) =>
      refusal("already-exists", `${what} ${path} exists on the target already`, {
        fix: `look at it on the target and move it away if it is not needed: ${path}`,
      }),
    );
}

function rewritten(
  request: PrepareTarget,
  shape: TargetShape,
  { toWrite }: HardwareForTarget,
  call: Call,
  world: World,
): string {
  const manifest = needed(request);
  const names = mapNetworks(readDomain(manifest.domainXml).interfaces, {
    asked: request.networkMap,
    fleet: manifest.networkNames,
    own: world.config.network_map,
  });
  const mapping = targetMapping(manifest, shape, names, toWrite);
  return rewriteForTarget(manifest.domainXml, mapping, targetIncarnation(call));
}

async function gatherFacts(
  request: PrepareTarget,
  placement: Placement,
  shape: TargetShape,
  domainXml: string,
  call: Call,
  world: World,
): Promise<Omit<TargetFacts, "hardware">> {
  const manifest = needed(request);
  const { sourceHost } = request;
  const needs = guestNeeds(readDomain(domainXml));
  const questions = { loaderPath: needs.firmware.loaderPath, withTpm: needs.tpm !== undefined };
  const emulatorPresent = await world.exists(manifest.emulator);
  const { machineProblem, support } = await machineSupport(manifest, emulatorPresent, world);
  return {
    host: await readHostFacts(
      questions,
      problem => world.log.debug({ problem }, "not known of this host"),
      world,
    ),
    support,
    guestCpu: machineProblem === "" ? await compareGuestCpu(manifest, world) : undefined,
    needs,
    cpuCheck: world.config.cpu_check,
    hookProblem: world.hook.problem(),
    occupiedBy: occupiedBy(sourceHost, call, world),
    ...(await takenIdentity(request, call, world)),
    emulatorPresent,
    machineProblem,
    defineProblem: machineProblem === "" ? await trialDefinition(domainXml, randomUUID(), world) : "",
    cell: world.config.cell,
    crossCell: request.crossCell,
    portBandwidths: await portBandwidths(domainXml, call.serverId, world),
    missingNetworks: await missingNetworks(domainXml, world),
    missingPaths: withoutFilesOf(manifest, await missingHostPaths(domainXml, shape.files, world)),
    fileRefusals: [...placement.refusals, ...(await takenNames(sourceHost, shape, domainXml, world))],
    volumeRefusals: await volumeRefusals(manifest, world, call.signal),
    memoryAvailableMib: await memoryAvailableMib(call, world),
    bytesAvailable: await bytesAvailable(call, world),
    bytesNeeded: bytesNeeded(manifest, shape),
  };
}

/** On its own host the server has its uuid and its name itself, as long as it is the incarnation that is resized. */
async function takenIdentity(
  request: PrepareTarget,
  { serverId }: Call,
  { hypervisor, fence, config }: World,
): Promise<Pick<TargetFacts, "uuidTaken" | "nameTakenBy">> {
  const { domainXml } = needed(request);
  const [own, namesake] = [
    await hypervisor.findDomain(serverId),
    await hypervisor.findDomainByName(readDomain(domainXml).name),
  ];
  const marked = own && fence.incarnationOf(await hypervisor.domainXml(serverId, "inactive"));
  const isSource = isSameHost(request.sourceHost, { config }) && marked === fence.incarnationOf(domainXml);
  if (own === undefined || !isSource) return { uuidTaken: own !== undefined, nameTakenBy: namesake?.uuid };
  return { uuidTaken: false, nameTakenBy: namesake?.uuid === serverId ? undefined : namesake?.uuid };
}

/** A file that got no place is refused as such; to copy it by hand would be no help. */
const withoutFilesOf = ({ files }: SourceManifest, paths: readonly string[]): string[] =>
  paths.filter(path => !files.some(file => file.path === path));

/** Data that will be written, not virtual sizes: sparse stays sparse. */
function bytesNeeded(manifest: SourceManifest, { files }: TargetShape): number {
  const received = files.filter(file => file.mode === "copied").map(file => file.id);
  const receivedBytes = manifest.files
    .filter(file => received.includes(file.id))
    .reduce((sum, file) => sum + file.dataBytes, 0);
  return receivedBytes + convertedBytes(manifest, files);
}

/** Beside what is received, until it has taken its place: at most what all layers of a disk hold. */
function convertedBytes({ files: described }: SourceManifest, files: TargetShape["files"]): number {
  const devices = files.filter(({ convertTo }) => convertTo !== undefined).map(({ id }) => id.split("/")[0]);
  return described
    .filter(({ id }) => devices.includes(id.split("/")[0]))
    .reduce((sum, { dataBytes }) => sum + dataBytes, 0);
}

function planOf({ files, disks }: TargetShape, domainXml: string, call: Call, world: World): TargetPlan {
  const before = world.documents.get<TargetDocument>(call.serverId, call.migrationId, "target");
  return {
    files: [...files],
    disks: [...disks],
    domainXml,
    incarnation: formatIncarnation(targetIncarnation(call)),
    dataAddress: world.config.migration_address,
    dataPort: world.config.data_port,
    token: before?.plan.token ?? createToken(),
    folders: [],
  };
}
