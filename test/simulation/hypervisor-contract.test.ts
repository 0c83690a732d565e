/** The contract by the simulated libvirt. */

import type { Hypervisor } from "../../agent/os/hypervisor.js";
import { hypervisorContract } from "../contract/hypervisor-contract.js";
import { LibvirtHypervisor } from "./edges/libvirt-hypervisor.js";
import { context, Process } from "./world/process.js";
import { World } from "./world/world.js";

/** Every call in the name of a process of the machine. */
function inProcess(hypervisor: Hypervisor, process: Process): Hypervisor {
  return new Proxy(hypervisor, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => context.run(process, () => member.apply(target, args) as unknown);
    },
  });
}

hypervisorContract("the simulated libvirt", {
  open: async () => {
    const world = new World(1);
    const machine = world.add("h1");
    machine.slowness = { chance: 0, mostMs: 0 };
    const process = new Process(machine, "test", 1);
    const opened = await context.run(process, () => LibvirtHypervisor.open({}));
    return {
      hypervisor: inProcess(opened, process),
      until: async condition => void (await world.time.run(condition, 10_000)),
      close: async () => world.close(),
    };
  },
  domainXml: (name, uuid) =>
    `<domain type="qemu"><name>${name}</name><uuid>${uuid}</uuid><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`,
});
