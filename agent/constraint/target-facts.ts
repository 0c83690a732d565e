/** What is known of a target when a server is to come there. Undefined is "could not be read", never "none". */

import type { Fault } from "../../proto/fault.js";
import type { GuestHardware } from "../../proto/fit/guest-hardware.js";
import type {
  DomainSupport,
  FreeHardware,
  GuestFirmware,
  HostCpu,
  HostMemory,
  NumaCell,
} from "../../proto/gen/ferry/v1/host.js";
import type { FaultInfo } from "../../proto/gen/ferry/v1/model.js";
import type { GuestNeeds } from "../domain/guest-needs.js";
import type { CpuComparison, Versions } from "../os/hypervisor.js";
import type { PortBandwidth } from "./port-bandwidth.js";

/** The machine and its software, whatever server is to come. */
export interface TargetHost {
  readonly architecture: string | undefined;
  readonly cpu: HostCpu;
  readonly memory: HostMemory;
  readonly cells: readonly NumaCell[];
  readonly versions: Versions | undefined;
  readonly securityModels: readonly string[] | undefined;
  /** In order of preference. */
  readonly firmware: readonly GuestFirmware[];
  /** Of firmware code and NVRAM templates, by path. */
  readonly firmwareBytes: ReadonlyMap<string, number>;
  readonly swtpm: Swtpm | undefined;
}

export interface Swtpm {
  readonly version: string | undefined;
  /** tpm-1.2, tpm-2.0, … */
  readonly features: readonly string[];
}

export interface TargetFacts {
  readonly host: TargetHost;
  /** What a domain of this emulator, machine and type can have here. */
  readonly support: DomainSupport | undefined;
  /** libvirt's answer to the guest's CPU; undefined when there was nothing to ask or no answer. */
  readonly guestCpu: CpuComparison | undefined;
  /** Of the domain as it will be defined here. */
  readonly needs: GuestNeeds;
  /** What the guest wants for itself, and what this host can give; `problem`: the flavor contradicts itself. */
  readonly hardware: {
    readonly free: FreeHardware;
    readonly guest: GuestHardware;
    readonly problem: Fault | undefined;
  };
  readonly cpuCheck: "node" | "guest";
  /** Empty when the hook was proven live since the daemon started (SAFETY R6). */
  readonly hookProblem: string;
  /** What the target's journal has of this server in another migration: "active (migration none)"; empty: nothing. */
  readonly occupiedBy: string;
  readonly uuidTaken: boolean;
  /** uuid of the domain that has this server's name, if any. */
  readonly nameTakenBy: string | undefined;
  readonly emulatorPresent: boolean;
  /** libvirt's own words when it refuses this machine type with this emulator; empty: accepted. */
  readonly machineProblem: string;
  /** libvirt's own words when it refuses to define the domain; empty: a trial definition went through. */
  readonly defineProblem: string;
  /** Bridges and active networks this domain needs and the target lacks: "bridge br7", "network lab (inactive)". */
  readonly missingNetworks: readonly string[];
  /** Host paths other than disks (kernel, loader, …) that do not exist on the target. */
  readonly missingPaths: readonly string[];
  /** Files that have no place here. */
  readonly fileRefusals: readonly FaultInfo[];
  /** Volumes that this host does not reach, or finds otherwise than the source. */
  readonly volumeRefusals: readonly FaultInfo[];
  /** Block devices that this host lacks, cannot be proven to have, or does not have for the guest alone. */
  readonly deviceRefusals: readonly FaultInfo[];
  /** Networks of the target on which its ports are guaranteed bandwidth. */
  readonly portBandwidths: readonly PortBandwidth[];
  /** Of this host; hosts without one are all of one cell. */
  readonly cell: string;
  /** The caller may move servers across cells. */
  readonly crossCell: boolean;
  readonly memoryAvailableMib: number | undefined;
  /** Bytes free where the disks will lie, after reserve and the claims of other migrations. */
  readonly bytesAvailable: number | undefined;
  readonly bytesNeeded: number;
}
