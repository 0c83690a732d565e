/** Checks of what a guest has for itself: cells, dedicated CPUs, page sizes, devices. The fit is that of `proto/fit`. */

import { toFaultInfo } from "../../proto/fault-info.js";
import { whyNotFit } from "../../proto/fit/why-not-fit.js";
import type { Check, Objection } from "./check.js";
import { refused, unknown } from "./check.js";
import { liveDevices, livePageSize } from "./live-checks.js";
import type { TargetFacts } from "./target-facts.js";

const numaFit: Check = {
  name: "numa-fit",
  source: "/sys/devices/system/node, /sys/devices/system/cpu, agent.toml, defined domains, claims",
  judge({ hardware: { free, guest, problem } }) {
    if (problem !== undefined) return [{ outcome: "refused", reason: toFaultInfo(problem) }];
    if (guest.cells.length > 0 && free.cells.length === 0)
      return [unknown("the target's NUMA cells", "/sys/devices/system/node")];
    return shortages({ free, guest: { ...guest, devices: [] } });
  },
  live: livePageSize,
};

/** With the cells, because devices must be near them; what is wrong with these is said above. */
const pciDevices: Check = {
  name: "pci-devices",
  source: "/sys/bus/pci/devices, [[pci_alias]] in agent.toml, defined domains, claims",
  judge({ hardware: { free, guest } }) {
    if (guest.devices.length === 0) return [];
    const cellsFit = whyNotFit(free, { ...guest, devices: [] }).length === 0;
    return shortages({ free, guest: cellsFit ? guest : { ...guest, cells: [] } });
  },
  live: liveDevices,
};

const shortages = ({ free, guest }: Pick<TargetFacts["hardware"], "free" | "guest">): Objection[] =>
  whyNotFit(free, guest).map(({ message, ...detail }) => refused(`the target: ${message}`, detail));

export const HARDWARE_CHECKS: readonly Check[] = [numaFit, pciDevices];
