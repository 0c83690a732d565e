/**
 * Cells, pins, huge pages and devices, by what the host's agent last said is free. The target's agent asks the same
 * question again when it claims; the two never disagree about a host that has not changed.
 */

import { fitFor } from "../../../proto/fit/fit-hardware.js";
import type { GuestHardware } from "../../../proto/fit/guest-hardware.js";
import { whyNotFit } from "../../../proto/fit/why-not-fit.js";
import type { Check, Filter } from "../filter.js";

export const numaTopologyFilter: Filter = {
  name: "NUMATopologyFilter",
  prepare: ({ hardware }) => (hardware.cells.length === 0 ? undefined : fitCheck(hardware)),
};

export const pciPassthroughFilter: Filter = {
  name: "PciPassthroughFilter",
  prepare: ({ hardware }) =>
    hardware.devices.length === 0 ? undefined : fitCheck({ ...hardware, cells: [] }),
};

function fitCheck(guest: GuestHardware): Check {
  const fits = fitFor(guest);
  return {
    passes: ({ hardware }) => hardware?.free !== undefined && fits(hardware.free),
    why: ({ name, hardware }) =>
      hardware?.free === undefined
        ? {
            message: `host ${name} has not said what hardware it has`,
            have: "unknown",
            need: "cells, CPUs, pages and devices that are free",
            fix: `look at ferry-agent on ${name}; it reports them with its heartbeat`,
          }
        : whyNotFit(hardware.free, guest).map(({ message, ...detail }) => ({
            message: `host ${name}: ${message}`,
            ...detail,
          })),
  };
}
