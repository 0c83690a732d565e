/**
 * Bandwidth that ports are guaranteed (`<bandwidth><inbound floor=…>`, in KiB/s): the target's network must have as much left
 * for it. What a network has, the agent's configuration says; nobody else knows.
 */

import type { Check, Objection } from "./check.js";
import { refused, unknown } from "./check.js";

export interface PortBandwidth {
  /** Name of the network or bridge on the target. */
  readonly network: string;
  readonly neededKibps: number;
  /** Of the network, less what ports of other guests are guaranteed; undefined: not configured. */
  readonly leftKibps: number | undefined;
}

export const portBandwidth: Check = {
  name: "port-bandwidth",
  source: "<bandwidth> of this and other definitions, port_bandwidth in agent.toml",
  judge: ({ portBandwidths }) => portBandwidths.flatMap(judgeNetwork),
};

function judgeNetwork({ network, neededKibps, leftKibps }: PortBandwidth): Objection[] {
  if (leftKibps === undefined)
    return [unknown(`the bandwidth of network ${network}`, "port_bandwidth in the target's agent.toml")];
  if (leftKibps >= neededKibps) return [];
  return [
    refused(`network ${network} of the target has too little bandwidth left to guarantee`, {
      have: `${leftKibps} KiB/s`,
      need: `${neededKibps} KiB/s`,
      fix: "choose another host, or lower <inbound floor> of a port there",
    }),
  ];
}
