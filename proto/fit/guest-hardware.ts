/**
 * What a guest asks of the hardware below it, beside amounts: NUMA cells, dedicated CPUs, page sizes, devices.
 *
 * Nova's words in a flavor's extra specs say it (`read-guest-hardware.ts`); `fit-hardware.ts` finds it on a host. A
 * guest without cells floats: it runs on the host's shared CPUs, in whatever memory there is.
 */

export type ThreadPolicy = "prefer" | "isolate" | "require";
export type EmulatorThreads = "float" | "isolate" | "share";
export type DevicePolicy = "required" | "preferred" | "legacy" | "socket";
/** A number is a size in KiB. */
export type PageSize = "small" | "large" | "any" | number;

export interface GuestCell {
  readonly vcpus: readonly number[];
  /** Those of them that get a host CPU of their own. */
  readonly dedicated: readonly number[];
  readonly memoryKib: number;
}

/** One device. */
export interface DeviceRequest {
  /** The name of an alias, or "network/NAME" for a port of that physical network. */
  readonly alias: string;
  /** Undefined: the alias says. */
  readonly policy: DevicePolicy | undefined;
}

export interface GuestHardware {
  readonly cells: readonly GuestCell[];
  readonly threadPolicy: ThreadPolicy;
  readonly emulatorThreads: EmulatorThreads;
  /** Undefined: ordinary memory, which may be overcommitted. */
  readonly pageSize: PageSize | undefined;
  readonly devices: readonly DeviceRequest[];
}

export const FLOATING: GuestHardware = {
  cells: [],
  threadPolicy: "prefer",
  emulatorThreads: "float",
  pageSize: undefined,
  devices: [],
};

/** How many dedicated CPUs are booked, the one of isolated emulator threads included. */
export function dedicatedCount({ cells, emulatorThreads }: GuestHardware): number {
  const ofVcpus = cells.reduce((sum, { dedicated }) => sum + dedicated.length, 0);
  return ofVcpus + (ofVcpus > 0 && emulatorThreads === "isolate" ? 1 : 0);
}
