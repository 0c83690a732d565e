/**
 * What happens to a migration, read from the daemons' logs: the controller tells the story, the agents tell what they are asked to
 * do. What is logged is durable, and stays there whoever is killed next. The reverse does not hold: a daemon that is killed may have
 * made something durable and not said so, and nobody says it in its place. So where a controller may be killed, its successor is asked.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { type Host, type Lab, PATIENCE_MS, waitFor } from "./lab.js";

type LogLine = Readonly<Record<string, string | undefined>>;

/** Such as "begun copy-disks", "stuck release-target: …", "taken up waiting", "operation begun sendDisks". */
export async function eventsOf(lab: Lab, host: Host, migrationId: string): Promise<string[]> {
  return eventsIn(await logOf(lab, host), migrationId);
}

/** Waits for an event that matches, of a daemon that is not killed meanwhile; all events until then, and it. */
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

/**
 * Whether a migration awaits a verdict or has ended, whoever is killed: to be asked again and again. The log answers for nothing;
 * the command, which computes long, is run once for each controller that came after another.
 */
export function restOf(lab: Lab, migrationId: string): () => Promise<boolean> {
  let heard = 1;
  return async () => {
    const lines = await logOf(lab, "ctl");
    if (eventsIn(lines, migrationId).some(event => /^(waiting|ended)/.test(event))) return true;
    const served = lines.filter(line => line.includes('"msg":"serving"')).length;
    if (served <= heard) return false;
    const { code, stdout } = await lab.ferry("-o", "json", "migration", "show", migrationId);
    if (code !== 0) return false;
    heard = served;
    return ["waiting", "ended"].includes((JSON.parse(stdout) as Migration).direction);
  };
}

/** What it has written so far, without a line that it is just writing. */
async function logOf(lab: Lab, host: Host): Promise<readonly string[]> {
  const file = lab.path(host, `/var/log/ferry/${host === "ctl" ? "controller" : "agent"}.log`);
  return existsSync(file) ? (await readFile(file, "utf8")).split("\n").slice(0, -1) : [];
}

const eventsIn = (lines: readonly string[], migrationId: string): string[] =>
  lines
    .filter(line => line.includes(`"migration":"${migrationId}"`))
    .map(line => JSON.parse(line) as LogLine)
    .map(
      ({ msg, step, verb, phase, fault }) =>
        `${msg} ${step ?? verb ?? phase ?? ""}${fault === undefined ? "" : `: ${fault}`}`,
    );
