/** libvirt's domain states in Nova's words for them. */

import type { DomainState, DomainSummary } from "./os/hypervisor.js";

export type PowerState = "absent" | "RUNNING" | "SHUTDOWN" | "PAUSED" | "CRASHED" | "NOSTATE";

const POWER_STATES: Readonly<Record<DomainState, PowerState>> = {
  running: "RUNNING",
  blocked: "RUNNING",
  paused: "PAUSED",
  "shutting-down": "RUNNING",
  "shut-off": "SHUTDOWN",
  crashed: "CRASHED",
  "pm-suspended": "PAUSED",
  "no-state": "NOSTATE",
};

export const powerStateOf = (domain: DomainSummary | undefined): PowerState =>
  domain === undefined ? "absent" : POWER_STATES[domain.state];
