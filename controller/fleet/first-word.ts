/**
 * A controller that has just started has heard of nobody yet, and that is no answer: every host says something within
 * one heartbeat. Whoever would refuse for want of a host's word waits for the first, until the host counts as down.
 */

import type { Clock } from "../clock.js";
import type { HostState } from "./fleet.js";

const LOOK_AGAIN_MS = 100;
const never = new AbortController().signal;

export async function firstWordOf(
  hosts: readonly string[],
  stateOf: (host: string) => HostState,
  clock: Clock,
): Promise<void> {
  while (hosts.some(host => stateOf(host) === "unknown")) await clock.sleep(LOOK_AGAIN_MS, never);
}
