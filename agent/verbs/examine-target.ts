/**
 * What a target has to be asked about a server before anything is done, by prepare-target and by a check alike: the
 * domain is written as it would be defined here, all facts are gathered, and the table of checks judges them.
 */

import { randomUUID } from "node:crypto";
import { Fault } from "../../proto/fault.js";
import type { PrepareTarget, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { CheckResult } from "../../proto/gen/ferry/v1/model.js";
import type { Placement } from "../claim/place-files.js";
import { bytesAvailable, memoryAvailableMib } from "../claim/room.js";
import { evaluate } from "../constraint/checks.js";
import type { TargetFacts } from "../constraint/target-facts.js";
import { readDomain } from "../domain/domain-xml.js";
import { guestNeeds } from "../domain/guest-needs.js";
import { rewriteForTarget } from "../domain/rewrite-for-target.js";
import { bytesNeeded } from "./bytes-needed.js";
import { withDevicesAsFiles } from "./devices-to-files.js";
import { type HardwareForTarget, hardwareForTarget } from "./hardware-for-target.js";
import { readHostFacts } from "./host-facts.js";
import { compareGuestCpu, machineSupport } from "./machine-support.js";
import { placeOnTarget } from "./place-on-target.js";
import { portBandwidths } from "./port-bandwidths.js";
import { occupiedBy, takenIdentity, takenPaths } from "./taken-on-target.js";
import { deviceRefusals } from "./target-block-devices.js";
import { targetIncarnation } from "./target-document.js";
import { missingHostPaths, targetMapping } from "./target-mapping.js";
import { mapNetworks, missingNetworks } from "./target-networks.js";
import { shapeForTarget, type TargetShape } from "./target-shape.js";
import { volumeRefusals } from "./target-volumes.js";
import { trialDefinition } from "./trial-definition.js";
import type { Call, World } from "./verb.js";

/** The server as it would be here, as far as that is known without asking this host more. */
export interface Prospect {
  readonly request: PrepareTarget;
  readonly manifest: SourceManifest;
  readonly placement: Placement;
  readonly shape: TargetShape;
}

export interface Examination {
  /** The domain as it would be defined here. */
  readonly domainXml: string;
  readonly facts: TargetFacts;
  /** One for each check of the table. */
  readonly results: CheckResult[];
  readonly hardware: HardwareForTarget;
}

/** Judges this host for a server as it is, and changes nothing. */
export async function checkHost(request: PrepareTarget, call: Call, world: World): Promise<CheckResult[]> {
  const manifest = await manifestHere(request, world);
  const placement = await placeOnTarget(manifest, request.sourceHost, call, world);
  const shape = shapeForTarget(manifest, placement, undefined, request.extraSpecs);
  return (await examine({ request, manifest, placement, shape }, call, world)).results;
}

/** Of the disks on block devices, those that are copied to this host are files in it. */
export function manifestHere({ manifest, ...asked }: PrepareTarget, world: World): Promise<SourceManifest> {
  if (manifest !== undefined) return withDevicesAsFiles(manifest, asked, world);
  throw new Fault("invalid-argument", "prepare-target needs the source's manifest");
}

export async function examine(prospect: Prospect, call: Call, world: World): Promise<Examination> {
  const { request, manifest, shape } = prospect;
  const hardware = await hardwareForTarget(request, manifest, shape, call, world);
  const domainXml = rewritten(prospect, hardware, call, world);
  const gathered = await gatherFacts(prospect, domainXml, call, world);
  const facts: TargetFacts = { ...gathered, hardware };
  const { memoryMib, vcpus } = shape;
  return { domainXml, facts, hardware, results: evaluate(facts, { ...manifest, memoryMib, vcpus }) };
}

function rewritten(
  { request, manifest, shape }: Prospect,
  { toWrite }: HardwareForTarget,
  call: Call,
  world: World,
): string {
  const names = mapNetworks(readDomain(manifest.domainXml).interfaces, {
    asked: request.networkMap,
    fleet: manifest.networkNames,
    own: world.config.network_map,
  });
  const mapping = targetMapping(manifest, shape, names, toWrite);
  return rewriteForTarget(manifest.domainXml, mapping, targetIncarnation(call));
}

async function gatherFacts(
  { request, manifest, placement, shape }: Prospect,
  domainXml: string,
  call: Call,
  world: World,
): Promise<Omit<TargetFacts, "hardware">> {
  const { sourceHost, crossCell } = request;
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
    ...(await takenIdentity(sourceHost, manifest.domainXml, call, world)),
    emulatorPresent,
    machineProblem,
    defineProblem: machineProblem === "" ? await trialDefinition(domainXml, randomUUID(), world) : "",
    cell: world.config.cell,
    crossCell,
    portBandwidths: await portBandwidths(domainXml, call.serverId, world),
    missingNetworks: await missingNetworks(domainXml, world),
    missingPaths: withoutFilesOf(manifest, await missingHostPaths(domainXml, shape.files, world)),
    fileRefusals: [...placement.refusals, ...(await takenPaths(sourceHost, shape, domainXml, world))],
    volumeRefusals: await volumeRefusals(manifest, world, call.signal),
    deviceRefusals: await deviceRefusals(manifest, sourceHost, world),
    memoryAvailableMib: await memoryAvailableMib(call, world),
    bytesAvailable: await bytesAvailable(call, world),
    bytesNeeded: bytesNeeded(manifest, shape),
  };
}

/** A file or device that got no place is refused as such; to copy it by hand would be no help. */
const withoutFilesOf = ({ files, blockDevices }: SourceManifest, paths: readonly string[]): string[] =>
  paths.filter(path => ![...files, ...blockDevices].some(known => known.path === path));
