/**
 * What a refusal is: a distinct exit code, one clear sentence on standard error, and everything as it was. "Everything"
 * is looked at from outside Ferry: the guests' processes, the files and domains of the hosts, what the hook allows, and the
 * controller's and the agents' own records.
 */

import { expect } from "vitest";
import { claimsOn, controllerRows } from "./daemon-records.js";
import { IMAGE_DIR } from "./guest.js";
import type { Finished, Host, Lab } from "./lab.js";

export interface Refusal {
  /** As in `ferry --help`. */
  readonly exit: number;
  /** Parts of standard error: the sentence, and its have, need or fix. */
  readonly says: readonly string[];
  /** Server of the migration that was recorded; none when it was refused before it began. */
  readonly migrationOf?: string;
}

interface Standing {
  readonly migrations: readonly unknown[];
  readonly [what: string]: unknown;
}

const SETTLE_MS = 20_000;

/** Runs a ferry command that has to be refused, and throws unless nothing else has happened. */
export async function expectRefusal(lab: Lab, words: readonly string[], refusal: Refusal): Promise<Finished> {
  const before = await standing(lab);
  const finished = await lab.ferry(...words);
  expect({ exit: finished.code, stderr: finished.stderr }).toEqual({
    exit: refusal.exit,
    stderr: expect.stringContaining(refusal.says[0] ?? ""),
  });
  for (const part of refusal.says) expect(finished.stderr).toContain(part);

  const { migrationOf } = refusal;
  const recorded =
    migrationOf === undefined
      ? []
      : [{ server_name: migrationOf, status: "error", open: 0, stuck: 0, live: 0 }];
  await expect
    .poll(() => standing(lab), { timeout: SETTLE_MS, interval: 200 })
    .toEqual({ ...before, migrations: [...before.migrations, ...recorded] });
  return finished;
}

/** `ferry server migrate`, refused at prepare: recorded as a migration in error. */
export const expectMigrationRefused = (
  lab: Lab,
  server: string,
  refusal: Omit<Refusal, "migrationOf">,
  ...words: readonly string[]
): Promise<Finished> =>
  expectRefusal(lab, ["server", "migrate", server, "--host", "h2", "--wait", ...words], {
    ...refusal,
    migrationOf: server,
  });

async function standing(lab: Lab): Promise<Standing> {
  const [h1, h2] = await Promise.all([hostStanding(lab, "h1"), hostStanding(lab, "h2")]);
  return { h1, h2, ...controllerStanding(lab) };
}

/** Domains with the process that runs them, files by inode, and what the hook lets start. */
async function hostStanding(lab: Lab, host: Host): Promise<object> {
  const script = `
    cd /run/libvirt/qemu && for pid in *.pid; do [ -e "$pid" ] && echo "runs $pid $(cat $pid)"; done
    ls /etc/libvirt/qemu | grep '[.]xml$' | sed 's/^/defined /'
    find ${IMAGE_DIR} /run/shared /var/lib/libvirt/qemu/nvram /var/lib/libvirt/swtpm -path '*/guest/*' -prune -o -printf '%i %p\\n' 2>/dev/null
    cd /var/lib/ferry/guests 2>/dev/null && grep -H ^allow * || true`;
  const lines = (await lab.output(host, ["sh", "-c", script])).split("\n").sort();
  const claims = claimsOn(lab, host);
  return { lines, claims };
}

function controllerStanding(lab: Lab) {
  const ask = (query: string) => controllerRows(lab, query);
  return {
    servers: ask(
      "SELECT name, host, vm_state, task_state, power_state, migration_id FROM server ORDER BY id",
    ),
    allocations: ask("SELECT * FROM allocation ORDER BY consumer, host, resource_class"),
    migrations: ask(`SELECT server_name, status, open, stuck, live
      FROM migration JOIN saga ON saga.id = migration.id ORDER BY created_at_ms, migration.id`),
  };
}
