/**
 * prepare-target: everything about this host that could refuse the server is tried while its guest still runs.
 *
 * Nothing but the journal is changed: a claim (memory, bytes), the plan (where each file will lie, the domain as it
 * will be defined) and the token that admits the disk data. All refusals are collected, not just the first.
 */

import type { PrepareTarget, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import type { Claim } from "../claim/claim.js";
import { bookingOf } from "../claim/hardware-booking.js";
import { refusalsOf } from "../constraint/checks.js";
import { imageFormat } from "../disk/image-rules.js";
import { readDomain } from "../domain/domain-xml.js";
import { formatIncarnation } from "../domain/ferry-metadata.js";
import { createToken } from "../transfer/messages.js";
import { examine, manifestHere } from "./examine-target.js";
import { type HardwareForTarget, isTargetOf } from "./hardware-for-target.js";
import { awaitArrivals, otherArrivals } from "./other-arrivals.js";
import { placeOnTarget, sharedPaths } from "./place-on-target.js";
import { isSameHost } from "./same-host.js";
import { requireSettledHook } from "./settled-hook.js";
import { writeNonces } from "./storage-proof.js";
import { occupiedBy } from "./taken-on-target.js";
import { readAsHere } from "./target-block-devices.js";
import { findTargetDocument, type TargetDocument, targetIncarnation } from "./target-document.js";
import { shapeForTarget, type TargetShape } from "./target-shape.js";
import { type Call, result, type Verb, type World } from "./verb.js";

export const prepareTarget: Verb<PrepareTarget> = async (request, call, world) => {
  requireSettledHook(world);
  const { sourceHost, flavor, extraSpecs, diskFormat = "" } = request;
  const manifest = await manifestHere(request, world);
  const claimedBefore = claimsOfOthers(call, world);
  // Whoever is refused anyway need not wait.
  if (occupiedBy(sourceHost, call, world) === "")
    await awaitArrivals(sharedPaths(manifest, world), call, world);
  const placement = await placeOnTarget(manifest, sourceHost, call, world);
  const convertTo = diskFormat === "" ? undefined : imageFormat(diskFormat);
  const shape = shapeForTarget(manifest, placement, flavor, extraSpecs, convertTo);
  // What cannot be resized cannot be written as a domain either.
  if (shape.refusals.length > 0) return result({ refusals: [...placement.refusals, ...shape.refusals] });
  const examination = await examine({ request, manifest, placement, shape }, call, world);
  const refusals = refusalsOf(examination.results);
  if (refusals.length > 0) return result({ refusals });

  const folders = isSameHost(sourceHost, world)
    ? []
    : await writeNonces(manifest.folders, "target", call, world);
  const blockDevices = await readAsHere(manifest.blockDevices, world);
  const plan = { ...planOf(shape, examination.domainXml, call, world), folders, blockDevices };
  // Somebody has planned the same base meanwhile, or claimed what was judged to be free. From here until plan and claim
  // are journalled nothing awaits.
  const received = plan.files.filter(({ mode }) => mode === "copied").map(({ path }) => path);
  if (otherArrivals(received, call, world).length > 0 || claimsOfOthers(call, world) !== claimedBefore)
    return prepareTarget(request, call, world);
  const { memoryMib, vcpus } = shape;
  const claim: Claim = { memoryMib, vcpus, bytes: examination.facts.bytesNeeded };
  journal({ plan, manifest, sourceHost }, claim, examination.hardware, call, world);
  return result({ plan });
};

/** Changes whenever another server's claim on this host does. */
const claimsOfOthers = ({ migrationId }: Call, { documents, bookings }: World): string =>
  JSON.stringify([
    documents.list<Claim>("claim").filter(claim => claim.migrationId !== migrationId),
    bookings.list().filter(booking => booking.migrationId !== migrationId),
  ]);

function planOf({ files, disks }: TargetShape, domainXml: string, call: Call, world: World): TargetPlan {
  return {
    files: [...files],
    disks: [...disks],
    domainXml,
    incarnation: formatIncarnation(targetIncarnation(call)),
    dataAddress: world.config.migration_address,
    dataPort: world.config.data_port,
    token: findTargetDocument(call, world)?.plan.token ?? createToken(),
    folders: [],
    blockDevices: [],
  };
}

/** Plan, claim and bookings at once; the source may try the way to this host from then on. */
function journal(
  document: TargetDocument,
  claim: Claim,
  hardware: HardwareForTarget,
  call: Call,
  world: World,
): void {
  const { migrationId, serverId, epoch } = call;
  const { plan, sourceHost } = document;
  world.atomically(() => {
    world.documents.put(serverId, migrationId, "target", document);
    world.documents.put(serverId, migrationId, "claim", claim);
    bookHardware(plan.incarnation, hardware, call, world);
    if (!isSameHost(sourceHost, world)) expectServer(document, call, world);
  });
  if (!isSameHost(sourceHost, world))
    world.transfer.admitProbe({ migrationId, serverId, epoch, sourceHost, token: plan.token });
}

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
