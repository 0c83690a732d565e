/** Answers that libvirt 9.0 with QEMU 7.2 gave (test/fixtures/libvirt), played back. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { HypervisorFacts } from "../../../agent/probe/hypervisor.js";
import { Fault } from "../../../proto/fault.js";

const RECORDINGS = join(import.meta.dirname, "../../fixtures/libvirt");

export const recording = (name: string) => readFileSync(join(RECORDINGS, `${name}.xml`), "utf8");

export const recordedLibvirt: HypervisorFacts = {
  versions: async () => ({ libvirt: 9_000_000, qemu: 7_002_022 }),
  capabilities: async () => recording("capabilities"),
  domainCapabilities: async ({ virttype, machine }) =>
    recording(`domain-capabilities-${virttype}-${machine}`),
  storagePools: async () => [],
  networks: async () => [{ name: "default", active: false, bridge: "virbr0" }],
};

const gone = async () => {
  throw new Fault("unreachable", "the daemon does not answer");
};

export const silentLibvirt: HypervisorFacts = {
  versions: gone,
  capabilities: gone,
  domainCapabilities: gone,
  storagePools: gone,
  networks: gone,
};
