/**
 * A graceful stop of a QEMU guest: SIGTERM to its process, which flushes and ends, and nothing stronger.
 *
 * Not VIR_DOMAIN_DESTROY_GRACEFUL: libvirt 9.0, given a QEMU that does not go, reports EBUSY to its log after 15 s
 * and then kills all the same (measured). Whoever asks for graceful must be able to rely on it.
 */

import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Domain } from "../../native/lib/libvirt.js";
import { VIR_DOMAIN_SHUTOFF } from "../../native/lib/libvirt-constants.js";
import { Fault } from "../../proto/fault.js";

const POLL_MS = 50;

/** Rejects with `conflict` when it is off already, with `timeout` when it still runs after the limit. */
export async function terminateQemu(domain: Domain, limitMs: number): Promise<void> {
  if (await isOff(domain)) throw new Fault("conflict", "the domain is not running");
  const deadline = performance.now() + limitMs;
  const pids = await qemuPids(domain.uuid);
  if (pids.length === 0 && !(await isOff(domain))) {
    throw new Fault("failed", "no QEMU process with this uuid is visible in /proc");
  }
  for (const pid of pids) signalIfAlive(pid);
  while (!(await isOff(domain))) {
    if (performance.now() > deadline) {
      throw new Fault("timeout", `QEMU did not end within ${limitMs / 1_000} s of SIGTERM`);
    }
    await delay(POLL_MS);
  }
}

/** libvirt says so only once the process has ended. */
const isOff = async (domain: Domain): Promise<boolean> =>
  (await domain.getState()).state === VIR_DOMAIN_SHUTOFF;

async function qemuPids(uuid: string): Promise<number[]> {
  const processes = (await readdir("/proc")).filter(name => /^\d+$/.test(name));
  const matches = await Promise.all(
    processes.map(async pid => ((await hasUuid(pid, uuid)) ? [Number(pid)] : [])),
  );
  return matches.flat();
}

async function hasUuid(pid: string, uuid: string): Promise<boolean> {
  // A process may end while we look.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return commandLine.includes(`\0-uuid\0${uuid}\0`);
}

function signalIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
