/** What libvirt says about a domain and its events, in the words of `hypervisor.ts`. */

import type { Domain, LifecycleNotice } from "../../native/lib/libvirt.js";
import type { DomainEvent, DomainState, DomainSummary, LifecycleEvent } from "./hypervisor.js";

/** By virDomainState. */
const STATES: readonly DomainState[] = [
  "no-state",
  "running",
  "blocked",
  "paused",
  "shutting-down",
  "shut-off",
  "crashed",
  "pm-suspended",
];

/** By virDomainEventType. */
const EVENTS: readonly LifecycleEvent[] = [
  "defined",
  "undefined",
  "started",
  "suspended",
  "resumed",
  "stopped",
  "shutdown",
  "pmsuspended",
  "crashed",
];

export async function summaryOf(domain: Domain): Promise<DomainSummary> {
  const [{ state, reason }, persistent, autostart, hasManagedSave] = await Promise.all([
    domain.getState(),
    domain.isPersistent(),
    domain.getAutostart(),
    domain.hasManagedSaveImage(),
  ]);
  return {
    uuid: domain.uuid,
    name: domain.name,
    state: STATES[state] ?? "no-state",
    stateReason: reason,
    persistent,
    autostart,
    hasManagedSave,
  };
}

/** Undefined for a kind of event that this version does not know. */
export function eventOf(notice: LifecycleNotice): DomainEvent | undefined {
  const event = EVENTS[notice.event];
  if (event === undefined) return undefined;
  return { uuid: notice.uuid, name: notice.name, event, detail: notice.detail };
}
