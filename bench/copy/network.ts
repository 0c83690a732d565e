/**
 * The way between source and target: loopback, or a link of a given rate between two network namespaces of our own.
 *
 * The namespaces are the kernel's; neither this machine's addresses nor its routes are touched.
 */

import { execFileSync } from "node:child_process";
import { Fault } from "../../proto/fault.js";

export type End = "source" | "target";

export interface Network {
  readonly description: string;
  /** Where the target listens. */
  readonly address: string;
  /** A command line that runs `command` at that end. */
  enter(end: End, command: readonly string[]): string[];
  dispose(): void;
}

export const loopback: Network = {
  description: "loopback",
  address: "127.0.0.1",
  enter: (_end, command) => [...command],
  dispose: () => {},
};

/** Reserved for documentation (RFC 5737): nobody's, and only visible inside the namespaces. */
const ADDRESSES = { source: "192.0.2.1", target: "192.0.2.2" } as const;
const ENDS = ["source", "target"] as const;

/** `rate` as tc writes it: `1gbit`. */
export function shapedLink(rate: string): Network {
  const spaceOf = (end: End) => `ferry-bench-${process.pid}-${end}`;
  const deviceOf = (end: End) => `fb${process.pid}${end.charAt(0)}`;
  const dispose = () => {
    // The devices go with their namespaces.
    for (const end of ENDS) run(["ip", "netns", "delete", spaceOf(end)], "ignore failure");
  };
  try {
    for (const end of ENDS) run(["ip", "netns", "add", spaceOf(end)]);
    const [near, far] = ENDS.map(end => ["name", deviceOf(end), "netns", spaceOf(end)]);
    run(["ip", "link", "add", ...(near ?? []), "type", "veth", "peer", ...(far ?? [])]);
    for (const end of ENDS) raise(spaceOf(end), deviceOf(end), ADDRESSES[end], rate);
  } catch (thrown) {
    dispose();
    throw thrown;
  }
  return {
    description: `a link of ${rate}`,
    address: ADDRESSES.target,
    enter: (end, command) => ["nsenter", `--net=/run/netns/${spaceOf(end)}`, ...command],
    dispose,
  };
}

function raise(space: string, device: string, address: string, rate: string): void {
  const within = (...command: string[]) => run(["ip", "-n", space, ...command]);
  within("link", "set", "lo", "up");
  within("address", "add", `${address}/30`, "dev", device);
  within("link", "set", device, "up");
  const shape = ["root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms"];
  run(["tc", "-n", space, "qdisc", "add", "dev", device, ...shape]);
}

function run([program = "", ...args]: readonly string[], onFailure?: "ignore failure"): void {
  try {
    execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    if (onFailure !== undefined) return;
    const cause = error instanceof Error ? error.message.trim() : String(error);
    throw new Fault("failed", `make a shaped link: ${cause}`, { need: "root, iproute2, veth and sch_tbf" });
  }
}
