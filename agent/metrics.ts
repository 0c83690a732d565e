/** What an agent counts, for Prometheus. Gauges are read when they are scraped. */

import { Gauge, type Registry } from "prom-client";
import type { World } from "./verbs/verb.js";

export function agentMetrics(registry: Registry, world: World): void {
  const registers = [registry];
  const guests: Gauge = new Gauge({
    name: "ferry_agent_guests",
    help: "Servers known to this agent, by role",
    labelNames: ["role"],
    registers,
    collect: () => {
      guests.reset();
      for (const { role } of world.guests.list()) guests.inc({ role });
    },
  });
  const hook: Gauge = new Gauge({
    name: "ferry_agent_hook_proven",
    help: "1 when the libvirt hook is proven to guard this host",
    registers,
    collect: () => hook.set(world.hook.problem() === "" ? 1 : 0),
  });
}
