/** What captured machines have, and what they can give under a configuration and with guests on them. */

import { freeHardware, type Hardware, type Held } from "../../../agent/claim/free-hardware.js";
import { type AgentConfig, agentConfigSchema } from "../../../agent/config.js";
import { readCpu } from "../../../agent/probe/cpu.js";
import { readNumaCells } from "../../../agent/probe/numa.js";
import { readPciDevices } from "../../../agent/probe/pci.js";
import { openTrees } from "../../../agent/probe/roots.js";
import { fitHardware, type Placement } from "../../../proto/fit/fit-hardware.js";
import { readGuestHardware } from "../../../proto/fit/read-guest-hardware.js";
import { whyNotFit } from "../../../proto/fit/why-not-fit.js";
import { unpackHost } from "../probe/captured-host.js";

export async function capturedHardware(name: string): Promise<Hardware> {
  const captured = unpackHost(name);
  try {
    const trees = openTrees(captured.roots, () => undefined);
    const cpu = await readCpu(trees);
    const cells = await readNumaCells(trees.sys, cpu.topology);
    return { cpu, cells, pciDevices: await readPciDevices(trees.sys) };
  } finally {
    captured.remove();
  }
}

export const configured = (change: Partial<AgentConfig> = {}): AgentConfig => ({
  ...agentConfigSchema.parse({
    host: "h1",
    controller: "c:1",
    listen: "h1:1",
    migration_address: "127.0.0.1",
    tls: { ca: "/ca", cert: "/cert", key: "/key" },
  }),
  ...change,
});

interface Asked {
  readonly vcpus?: number;
  readonly ramMib?: number;
  readonly specs: Record<string, string>;
}

/** One captured machine, to be asked for flavors. */
export class Machine {
  readonly hardware: Hardware;
  readonly config: AgentConfig;
  readonly held: readonly Held[];

  constructor(hardware: Hardware, change: Partial<AgentConfig>, held: readonly Held[] = []) {
    this.hardware = hardware;
    this.config = configured(change);
    this.held = held;
  }

  get free() {
    return freeHardware(this.hardware, this.config, this.held);
  }

  holding(...held: readonly Held[]): Machine {
    return new Machine(this.hardware, this.config, [...this.held, ...held]);
  }

  place({ vcpus = 2, ramMib = 128, specs }: Asked): Placement {
    const placement = fitHardware(this.free, readGuestHardware(specs, { vcpus, ramMib }));
    if (placement === undefined) throw new Error(this.refuse({ vcpus, ramMib, specs }));
    return placement;
  }

  /** Everything that is said against it. */
  refuse({ vcpus = 2, ramMib = 128, specs }: Asked): string {
    const shortages = whyNotFit(this.free, readGuestHardware(specs, { vcpus, ramMib }));
    return shortages
      .map(({ message, have, need, fix }) => `${message}: ${have} / ${need} / ${fix}`)
      .join("\n");
  }
}
