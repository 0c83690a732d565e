/**
 * Cells, pins, huge pages and devices, by what the host's agent last said is free. The target's agent asks the same
 * question again when it claims; the two never disagree about a host that has not changed.
 */

import { fitsHardware } from "../../../proto/fit/fit-hardware.js";
import { asksNothing, type GuestHardware } from "../../../proto/fit/guest-hardware.js";
import { whyNotFit } from "../../../proto/fit/why-not-fit.js";
import { type Check, type Filter, PASS, refused } from "../filter.js";

export const numaTopologyFilter: Filter = {
  name: "NUMATopologyFilter",
  prepare: ({ hardware }) => (hardware.cells.length === 0 ? undefined : fitCheck(hardware)),
};

export const pciPassthroughFilter: Filter = {
  name: "PciPassthroughFilter",
  prepare: ({ hardware }) =>
    hardware.devices.length === 0 ? undefined : fitCheck({ ...hardware, cells: [] }),
};

function fitCheck(guest: GuestHardware): Check | undefined {
  if (asksNothing(guest)) return undefined;
  return host => {
    const free = host.hardware?.free;
    if (free === undefined) {
      return refused(host, {
        message: `host ${host.name} has not said what hardware it has`,
        have: "unknown",
        need: "cells, CPUs, pages and devices that are free",
        fix: `look at ferry-agent on ${host.name}; it reports them with its heartbeat`,
      });
    }
    if (fitsHardware(free, guest)) return PASS;
    return whyNotFit(free, guest).flatMap(shortage => refused(host, shortage));
  };
}
