/**
 * The hardware that a server asks of this host, what the host can give, and the placement if there is one: the same
 * for a check and for the claim.
 */

import { Fault } from "../../proto/fault.js";
import { fitHardware, type Placement } from "../../proto/fit/fit-hardware.js";
import { FLOATING, type GuestHardware } from "../../proto/fit/guest-hardware.js";
import { speaksOfHardware } from "../../proto/fit/read-guest-hardware.js";
import type { PrepareTarget, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { FreeHardware } from "../../proto/gen/ferry/v1/host.js";
import { parseCpuSet } from "../../proto/range-list.js";
import { askedHardware } from "../claim/asked-hardware.js";
import { freeHardware } from "../claim/free-hardware.js";
import { readDomain } from "../domain/domain-xml.js";
import type { HardwareToWrite } from "../domain/write-hardware.js";
import { attributeOf, childOf } from "../domain/xml-document.js";
import { type HostHardware, heldHardware, readHostHardware } from "./held-hardware.js";
import type { TargetShape } from "./target-shape.js";
import type { Call, World } from "./verb.js";

export interface HardwareForTarget {
  readonly free: FreeHardware;
  readonly guest: GuestHardware;
  /** Words that contradict themselves; then nothing is placed. */
  readonly problem: Fault | undefined;
  readonly placement: Placement | undefined;
  /** Undefined when there is no placement. */
  readonly toWrite: HardwareToWrite | undefined;
}

export async function hardwareForTarget(
  request: PrepareTarget,
  manifest: SourceManifest,
  shape: TargetShape,
  call: Call,
  world: World,
): Promise<HardwareForTarget> {
  const hardware = await readHostHardware(world);
  const held = await heldHardware(hardware, isTargetOf(call), world);
  const free = freeHardware(hardware, world.config, held);
  const asked = guestOf(request, manifest, shape);
  if (asked instanceof Fault)
    return { free, guest: FLOATING, problem: asked, placement: undefined, toWrite: undefined };
  const placement = fitHardware(free, asked);
  const toWrite =
    placement &&
    hardwareToWrite(placement, asked, hardware, free, { manifest, isReshaped: isReshaped(request) }, world);
  return { free, guest: asked, problem: undefined, placement, toWrite };
}

/** At whatever epoch it was asked for. */
export const isTargetOf =
  ({ serverId, migrationId }: Call) =>
  (incarnation: string): boolean =>
    incarnation.startsWith(`${serverId}/${migrationId}/target/`);

function guestOf(
  request: PrepareTarget,
  manifest: SourceManifest,
  shape: TargetShape,
): GuestHardware | Fault {
  const { flavor, extraSpecs } = request;
  const { vcpus, memoryMib: ramMib } = shape;
  const domain = readDomain(manifest.domainXml);
  const memoryKib = shape.sizes === undefined ? domain.memoryKib : ramMib * KIB_PER_MIB;
  try {
    return askedHardware({
      domain: { ...domain, memoryKib },
      extraSpecs,
      assigned: manifest.facts?.assignedDevices ?? [],
      resize: flavor && isReshaped(request) ? { extraSpecs: flavor.extraSpecs, vcpus, ramMib } : undefined,
    });
  } catch (error) {
    if (error instanceof Fault && error.code === "invalid-argument") return error;
    throw error;
  }
}

const KIB_PER_MIB = 1024;

/** Between flavors that speak of hardware a resize says anew what the machine is; else it keeps what it has. */
const isReshaped = ({ flavor, extraSpecs }: PrepareTarget): boolean =>
  flavor !== undefined && speaksOfHardware(extraSpecs, flavor.extraSpecs);

function hardwareToWrite(
  placement: Placement,
  guest: GuestHardware,
  { pciDevices }: HostHardware,
  free: FreeHardware,
  source: { readonly manifest: SourceManifest; readonly isReshaped: boolean },
  world: World,
): HardwareToWrite {
  return {
    placement,
    isReshaped: source.isReshaped,
    guestCells: guest.cells,
    floatingCpus: floatingCpus(source.manifest, free, world),
    devices: placement.devices.map(address => ({
      address,
      networkInterface: pciDevices.find(device => device.address === address)?.networkInterfaces[0],
    })),
  };
}

/** This host's shared set; without one the guest runs anywhere, unless a person bound it to certain CPUs. */
function floatingCpus(
  manifest: SourceManifest,
  free: FreeHardware,
  { config }: World,
): readonly number[] | undefined {
  if (config.cpu_shared_set !== undefined || config.cpu_dedicated_set !== undefined) return free.sharedCpus;
  const bound = parseCpuSet(
    attributeOf(childOf(readDomain(manifest.domainXml).root, "vcpu"), "cpuset") ?? "",
  );
  const ofSource = parseCpuSet(manifest.facts?.cpuSharedSet ?? "");
  const isOfSource = ofSource !== undefined && ofSource.length > 0 && bound?.join() === ofSource.join();
  return isOfSource ? [] : undefined;
}
