/** Stands for `proto/daemon.ts`: the daemons say how they serve, and the simulated machines run them. */

import type { Daemon } from "../../../proto/daemon.js";

export type * from "../../../proto/daemon.js";

type AnyDaemon = Daemon<{ readonly log_level: string }>;

const daemons = new Map<string, AnyDaemon>();

export async function runDaemon<Config extends { readonly log_level: string }>(
  daemon: Daemon<Config>,
): Promise<void> {
  daemons.set(daemon.program, daemon as unknown as AnyDaemon);
}

export function daemonNamed(program: string): AnyDaemon {
  const daemon = daemons.get(program);
  if (daemon === undefined) throw new Error(`${program} has not been loaded`);
  return daemon;
}
