/** What the agents say that they did, and when: from their logs, so that nothing has to be believed of the controller. */

import { readFile } from "node:fs/promises";
import type { Host, Lab } from "../../lab/lab.js";

export interface Span {
  readonly migration: string;
  readonly hosts: readonly Host[];
  readonly beganMs: number;
  readonly endedMs: number;
}

interface Line {
  readonly time: number;
  readonly msg: string;
  readonly migration?: string;
  readonly verb?: string;
}

/** From the first to the last thing that any agent did for each migration so far. */
export async function spansOf(lab: Lab, hosts: readonly Host[]): Promise<Span[]> {
  const spans = new Map<string, { hosts: Set<Host>; times: number[] }>();
  for (const host of hosts) {
    for (const { time, msg, migration = "", verb } of await linesOf(lab, host)) {
      if (migration === "" || verb === undefined || !msg.startsWith("operation ")) continue;
      const span = spans.get(migration) ?? { hosts: new Set(), times: [] };
      span.hosts.add(host);
      span.times.push(time);
      spans.set(migration, span);
    }
  }
  return [...spans].map(([migration, span]) => ({
    migration,
    hosts: [...span.hosts],
    beganMs: Math.min(...span.times),
    endedMs: Math.max(...span.times),
  }));
}

async function linesOf(lab: Lab, host: Host): Promise<Line[]> {
  const text = await readFile(lab.path(host, "/var/log/ferry/agent.log"), "utf8");
  return text
    .split("\n")
    .filter(line => line.startsWith("{"))
    .map(line => JSON.parse(line) as Line);
}

/** The most that went on at the same moment. */
export function mostAtOnce(spans: readonly Span[]): number {
  const at = (moment: number) =>
    spans.filter(({ beganMs, endedMs }) => beganMs <= moment && moment < endedMs).length;
  return Math.max(0, ...spans.map(({ beganMs }) => at(beganMs)));
}
