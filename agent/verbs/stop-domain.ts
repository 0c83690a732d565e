/**
 * Stops a guest (SAFETY R20): ACPI, repeated until the timeout; then destroyed, gracefully first, by force if that
 * does not end it. Whether it ran when it was first asked is journalled before anything is pressed, so that a
 * repeated call and an unwinding know it.
 */

import { Fault } from "../../proto/fault.js";
import type { StopDomain, StoppedGuest } from "../../proto/gen/ferry/v1/agent.js";
import type { DomainState } from "../os/hypervisor.js";
import { type Call, result, type Verb, type World } from "./verb.js";

/** An ACPI press before the guest listens is lost. Nova repeats it every 10 s; a guest that boots is asked sooner. */
const PRESS_INTERVALS_MS = [1_000, 2_000, 5_000];
const LONG_PRESS_INTERVAL_MS = 10_000;
const POLL_INTERVAL_MS = 200;
const DEFAULT_TIMEOUT_MS = 60_000;

const OFF: ReadonlySet<DomainState> = new Set(["shut-off", "crashed"]);

export const stopDomain: Verb<StopDomain> = async (request, call, world) => {
  const before = world.documents.get<StoppedGuest>(call.serverId, call.migrationId, "stopped");
  const wasRunning = before?.wasRunning ?? !(await isOff(call, world));
  remember({ wasRunning, how: "", offAtMs: 0 }, call, world);
  const how = await bringDown(request, call, world);
  const isRepeated = before !== undefined && before.offAtMs > 0 && how === "off-already";
  const stopped = isRepeated ? before : { wasRunning, how, offAtMs: world.now() };
  remember(stopped, call, world);
  return result({ stopped });
};

function remember(stopped: StoppedGuest, call: Call, world: World): void {
  if (call.migrationId !== "") world.documents.put(call.serverId, call.migrationId, "stopped", stopped);
}

async function bringDown(request: StopDomain, call: Call, world: World): Promise<string> {
  if (await isOff(call, world)) return "off-already";
  const timeoutMs = request.timeoutMs || DEFAULT_TIMEOUT_MS;
  if (await pressUntilOff(timeoutMs, call, world)) return "shutdown";

  const seconds = Math.round(timeoutMs / 1000);
  if (request.gracefulOnly) {
    throw new Fault("refused", `the guest ignored ACPI shutdown for ${seconds} s and may not be destroyed`, {
      fix: "shut it down from inside, or allow a forced stop",
    });
  }
  const how = await destroy(call, world);
  call.note(
    `guest ignored ACPI shutdown for ${seconds} s: destroyed (${how}); what it had not flushed is lost`,
  );
  return how;
}

async function pressUntilOff(timeoutMs: number, call: Call, world: World): Promise<boolean> {
  const deadline = world.monotonicMs() + timeoutMs;
  const intervals = PRESS_INTERVALS_MS.values();
  let nextPress = world.monotonicMs();
  while (world.monotonicMs() < deadline) {
    if (world.monotonicMs() >= nextPress) {
      await press(call, world);
      nextPress += intervals.next().value ?? LONG_PRESS_INTERVAL_MS;
    }
    await world.sleep(POLL_INTERVAL_MS, call.signal);
    if (await isOff(call, world)) return true;
  }
  return false;
}

/** The guest may have gone between looking and pressing; only a guest still there makes a failed press a fault. */
async function press(call: Call, world: World): Promise<void> {
  try {
    await world.hypervisor.shutdown(call.serverId);
  } catch (error) {
    if (!(await isOff(call, world))) throw error;
  }
}

async function destroy(call: Call, world: World): Promise<string> {
  try {
    await world.hypervisor.destroy(call.serverId, { graceful: true });
    return "destroyed-graceful";
  } catch (error) {
    if (await isOff(call, world)) return "destroyed-graceful";
    if (!(error instanceof Fault) || error.code !== "timeout") throw error;
  }
  await world.hypervisor.destroy(call.serverId, { graceful: false });
  return "destroyed-forced";
}

async function isOff(call: Call, world: World): Promise<boolean> {
  const domain = await world.hypervisor.findDomain(call.serverId);
  if (domain === undefined)
    throw new Fault("not-found", `server ${call.serverId} is not defined on this host`);
  return OFF.has(domain.state);
}
