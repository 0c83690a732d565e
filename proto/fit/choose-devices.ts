/**
 * Devices for the requests of a guest: each by an alias that the host gave it, near the guest's cells as the NUMA
 * policy says, with the rest of its IOMMU group where the group must go as a whole, and no virtual function beside its
 * physical one.
 *
 * A search with the nearest and least wanted devices first. Devices that differ in nothing but their address are
 * tried once, so hundreds of virtual functions cost no more than one.
 */

import type { FreeCell, FreeDevice } from "../gen/ferry/v1/host.js";
import type { DevicePolicy, DeviceRequest } from "./guest-hardware.js";

export interface ChosenDevices {
  /** In the order of the requests. */
  readonly addresses: readonly string[];
  /** How many are not in the guest's cells. */
  readonly away: number;
}

interface Candidate {
  readonly device: FreeDevice;
  /** Equal for devices that are as good as each other. */
  readonly kind: string;
}

interface Offer extends Candidate {
  /** Of the guest's cells. */
  readonly near: boolean;
  readonly sameSocket: boolean;
}

/** `cells`: those of the host that the guest gets; empty for a guest that floats, to which all are near. */
export function chooseDevices(
  devices: readonly FreeDevice[],
  requests: readonly DeviceRequest[],
  cells: readonly FreeCell[],
): ChosenDevices | undefined {
  if (requests.length === 0) return { addresses: [], away: 0 };
  if (!areEnough(devices, requests)) return undefined;
  const offers = offersOf(devices, cells);
  const chosen: Offer[] = [];
  const search = (index: number): boolean => {
    const request = requests[index];
    if (request === undefined) return areWhole(chosen);
    const tried = new Set<string>();
    for (const offer of offers) {
      if (tried.has(offer.kind) || !isAllowed(offer, request) || clashes(offer, chosen)) continue;
      tried.add(offer.kind);
      chosen.push(offer);
      if (search(index + 1)) return true;
      chosen.pop();
    }
    return false;
  };
  if (!search(0)) return undefined;
  return {
    addresses: chosen.map(({ device }) => device.address),
    away: chosen.filter(({ near }) => !near).length,
  };
}

function areEnough(devices: readonly FreeDevice[], requests: readonly DeviceRequest[]): boolean {
  const aliases = new Set(requests.map(({ alias }) => alias));
  return [...aliases].every(
    alias =>
      devices.filter(device => Object.hasOwn(device.aliases, alias)).length >=
      requests.filter(request => request.alias === alias).length,
  );
}

/** A host is asked many times before its devices change. */
const known = new WeakMap<readonly FreeDevice[], readonly Candidate[]>();

/** What needs company, and what more requests could want, comes last. */
function candidatesOf(devices: readonly FreeDevice[]): readonly Candidate[] {
  const before = known.get(devices);
  if (before !== undefined) return before;
  const meant = new Set(
    devices.flatMap(({ physicalFunction, companions }) => [physicalFunction, ...companions]),
  );
  const candidates = devices
    .map(device => ({ device, kind: kindOf(device, meant) }))
    .sort(
      ({ device: one }, { device: other }) =>
        one.companions.length - other.companions.length ||
        Object.keys(one.aliases).length - Object.keys(other.aliases).length ||
        (one.address < other.address ? -1 : 1),
    );
  known.set(devices, candidates);
  return candidates;
}

/** Near, then of an unknown cell, then far. */
function offersOf(devices: readonly FreeDevice[], cells: readonly FreeCell[]): Offer[] {
  const offers = candidatesOf(devices).map(({ device, kind }) => {
    const near = cells.length === 0 || cells.some(({ id }) => id === device.numaCell);
    return { device, kind, near, sameSocket: near || sharesSocket(device, cells) };
  });
  const isPlaced = ({ device }: Offer) => device.numaCell !== undefined;
  return [
    ...offers.filter(({ near }) => near),
    ...offers.filter(offer => !offer.near && !isPlaced(offer)),
    ...offers.filter(offer => !offer.near && isPlaced(offer)),
  ];
}

/** Sockets of a device's cell are told by that cell, which need not be one of the guest's. */
const sharesSocket = ({ socketIds }: FreeDevice, cells: readonly FreeCell[]): boolean =>
  cells.some(cell => cell.socketIds.some(id => socketIds.includes(id)));

/** A device with companions, or one that others mean, is like no other. */
function kindOf(
  { address, aliases, numaCell, physicalFunction, companions }: FreeDevice,
  meant: ReadonlySet<string>,
): string {
  if (companions.length > 0 || meant.has(address)) return address;
  const names = Object.entries(aliases).map(([alias, policy]) => `${alias}=${policy}`);
  return `${names.sort().join()} ${numaCell ?? ""} ${physicalFunction}`;
}

function isAllowed({ device, near, sameSocket }: Offer, { alias, policy }: DeviceRequest): boolean {
  if (!Object.hasOwn(device.aliases, alias)) return false;
  switch (policy ?? (device.aliases[alias] as DevicePolicy)) {
    case "required":
      return near;
    case "socket":
      return sameSocket;
    case "preferred":
      return true;
    default:
      return near || device.numaCell === undefined;
  }
}

const clashes = ({ device }: Offer, chosen: readonly Offer[]): boolean =>
  chosen.some(
    ({ device: other }) =>
      other.address === device.address ||
      other.physicalFunction === device.address ||
      other.address === device.physicalFunction,
  );

/** What must go with a chosen device was chosen too. */
function areWhole(chosen: readonly Offer[]): boolean {
  const addresses = chosen.map(({ device }) => device.address);
  return chosen.every(({ device }) => device.companions.every(other => addresses.includes(other)));
}
