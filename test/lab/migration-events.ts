/**
 * What happens to a migration, read from the daemons' logs: a line is there in the moment in which it is durable, and
 * stays there whoever is killed next. The controller tells the story, the agents tell what they are asked to do.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Host, type Lab, PATIENCE_MS, waitFor } from "./lab.js";

/** Such as "begun copy-disks", "stuck release-target: …", "operation begun sendDisks". */
export async function eventsOf(lab: Lab, host: Host, migrationId: string): Promise<string[]> {
  const daemon = host === "ctl" ? "controller" : "agent";
  const file = lab.path(host, `/var/log/ferry/${daemon}.log`);
  if (!existsSync(file)) return [];
  const lines = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  return lines
    .filter(line => line.includes(`"migration":"${migrationId}"`))
    .map(line => JSON.parse(line) as Record<string, string | undefined>)
    .map(
      ({ msg, step, verb, fault }) =>
        `${msg} ${step ?? verb ?? ""}${fault === undefined ? "" : `: ${fault}`}`,
    );
}

/** Waits for an event that matches; all events until then, and it. */
export function waitForEvent(
  lab: Lab,
  host: Host,
  migrationId: string,
  pattern: RegExp,
  deadlineMs = PATIENCE_MS,
): Promise<string[]> {
  const find = async () => {
    const events = await eventsOf(lab, host, migrationId);
    const at = events.findIndex(text => pattern.test(text));
    return at >= 0 && events.slice(0, at + 1);
  };
  return waitFor(find, { deadlineMs, what: `"${pattern.source}" of migration ${migrationId} on ${host}` });
}
