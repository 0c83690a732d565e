/** Hosts and requests for tests of the scheduler: what matters is said, all else is ordinary. */

import { type Around, type HostState, hostState } from "../../../controller/scheduler/host-state.js";
import { InCommon } from "../../../controller/scheduler/in-common.js";
import type { ScheduleRequest } from "../../../controller/scheduler/request.js";
import { DEFAULT_SCHEDULER_SETTINGS } from "../../../controller/scheduler/settings.js";
import type { HostRow } from "../../../controller/store/hosts.js";
import { FLOATING } from "../../../proto/fit/guest-hardware.js";
import { HostHardware } from "../../../proto/gen/ferry/v1/host.js";
import { Flavor, Inventory } from "../../../proto/gen/ferry/v1/model.js";
import { Aggregate } from "../../../proto/gen/ferry/v1/placement.js";

export const SETTINGS = DEFAULT_SCHEDULER_SETTINGS;

export interface HostSketch {
  readonly state?: string;
  readonly status?: string;
  readonly disabledReason?: string;
  readonly problem?: string;
  /** Total by resource class. */
  readonly inventories?: Readonly<Record<string, number>>;
  readonly used?: Readonly<Record<string, number>>;
  readonly traits?: readonly string[];
  readonly zone?: string;
  /** Metadata of an aggregate each. */
  readonly aggregates?: readonly Readonly<Record<string, string>>[];
  readonly servers?: readonly string[];
  readonly ioOperations?: number;
  readonly hardware?: Parameters<typeof HostHardware.fromPartial>[0];
}

export function host(name: string, sketch: HostSketch = {}): HostState {
  const { inventories = { MEMORY_MB: 4096 }, used = {}, aggregates = [], zone = "" } = sketch;
  const row = {
    name,
    status: sketch.status ?? "enabled",
    disabled_reason: sketch.disabledReason ?? "",
    hook_problem: sketch.problem ?? "",
    quarantine: "",
    forced_down: 0,
    traits: JSON.stringify(sketch.traits ?? []),
    hardware:
      sketch.hardware === undefined
        ? ""
        : JSON.stringify(HostHardware.toJSON(HostHardware.fromPartial(sketch.hardware))),
  };
  const all = zone === "" ? aggregates : [...aggregates, {}];
  const around: Around = {
    inventories: Object.entries(inventories).map(([resourceClass, total]) =>
      Inventory.fromPartial({
        resourceClass,
        total,
        allocationRatio: 1,
        used: used[resourceClass] ?? 0,
      }),
    ),
    servers: new Set(sketch.servers ?? []),
    aggregates: all.map((metadata, index) =>
      Aggregate.fromPartial({
        id: index + 1,
        name: `${name}-${index}`,
        metadata: { ...metadata },
        availabilityZone: index === all.length - 1 ? zone : "",
      }),
    ),
  };
  const state = hostState(row as HostRow, around, new InCommon());
  state.state = sketch.state ?? "up";
  state.ioOperations = sketch.ioOperations ?? 0;
  return state;
}

export const asked = (changes: Partial<ScheduleRequest> = {}): ScheduleRequest => ({
  serverId: "web",
  tenant: "user/ana",
  flavor: Flavor.fromPartial({ id: "1", name: "small", vcpus: 1, ramMib: 512 }),
  needed: new Map(),
  hardware: FLOATING,
  requiredTraits: [],
  forbiddenTraits: [],
  group: undefined,
  availabilityZone: "",
  sameHost: [],
  differentHost: [],
  imageProperties: {},
  sourceHost: "",
  requestedHost: "",
  force: false,
  ignoreHosts: [],
  ...changes,
});

export const withSpecs = (extraSpecs: Record<string, string>): Partial<ScheduleRequest> => ({
  flavor: Flavor.fromPartial({ id: "1", name: "small", vcpus: 1, ramMib: 512, extraSpecs }),
});
