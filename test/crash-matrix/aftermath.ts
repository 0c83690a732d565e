/**
 * What must be true after every cell, looked at without Ferry's help: one copy that runs, with its data; nothing of the
 * migration left on any host; booked exactly once.
 */

import assert from "node:assert/strict";
import { journalLines } from "../lab/daemon-records.js";
import { type Host, PATIENCE_MS, waitFor } from "../lab/lab.js";
import { bookedMemory, tracesOf } from "../lab/traces.js";
import type { Traveller } from "./traveller.js";

/** Megabytes of the traveller's flavor. */
const MEMORY_MIB = 128;
const HOSTS: readonly Host[] = ["h1", "h2"];

/** `before`: its QEMU processes when the cell began. */
export async function expectWellEnded(traveller: Traveller, before: readonly number[]): Promise<Host> {
  const { lab, server } = traveller;
  const { host, status, taskState, migrationId } = await settled(traveller);
  const home = host as Host;
  assert.deepEqual(
    { taskState, migrationId },
    { taskState: "", migrationId: "" },
    `${server.name} is ${status}`,
  );
  // A power cut ends a guest that ran; that Ferry does not start it by itself is as it should be.
  if (status === "SHUTOFF") await server.start();
  await traveller.expectProof(home, before);
  for (const other of HOSTS) await expectClean(traveller, other, other === home);
  const booked = await bookedMemory(lab);
  assert.deepEqual(
    booked,
    Object.fromEntries(HOSTS.map(name => [name, name === home ? MEMORY_MIB : 0])),
    "bookings",
  );
  return home;
}

/** The power state follows with the next heartbeat, and a host that was off needs one to be `up` again. */
async function settled(traveller: Traveller) {
  const { lab, server } = traveller;
  return waitFor(
    async () => {
      const said = await traveller.show().catch(() => undefined);
      if (said === undefined) return undefined;
      const virsh = await lab.exec(said.host as Host, ["virsh", "-q", "domstate", server.uuid]);
      const state = virsh.stdout.trim() === "running" ? "ACTIVE" : "SHUTOFF";
      return virsh.code === 0 && said.status === state ? said : undefined;
    },
    { deadlineMs: PATIENCE_MS, what: `${server.name} is as its host says` },
  );
}

async function expectClean(traveller: Traveller, host: Host, isHome: boolean): Promise<void> {
  const { lab, server } = traveller;
  const traces = await tracesOf(server, host);
  const expected = isHome ? { isDefined: true, verdict: "allow" } : { isDefined: false, files: [] };
  const { files, isDefined, verdict } = traces;
  assert.deepEqual(
    isHome ? { isDefined, verdict } : { isDefined, files },
    expected,
    `${server.name} on ${host}`,
  );
  if (!isHome) assert.notEqual(verdict, "allow", `${host} would start it`);
  const moved = files.filter(name => /\.(part|fenced|dropped)-|\.(journal|manifest)$/.test(name));
  assert.deepEqual(moved, [], `files of a migration on ${host}`);
  const tokens = await lab.output(host, ["sh", "-c", "ls /run/ferry/starting 2>/dev/null || true"]);
  assert.equal(tokens, "", `start tokens on ${host}`);
  assert.deepEqual(journalLines(lab, host, LEFT), [], `the journal of ${host}`);
}

/** Of the agent's journal: what a migration left that has ended. */
const LEFT = `
  SELECT 'artifact ' || path AS line FROM artifact WHERE migration <> ''
  UNION ALL SELECT 'document ' || kind FROM document
    WHERE migration <> '' AND kind NOT LIKE 'fence %' AND kind <> 'digest'
  UNION ALL SELECT kind || ' ' || json_extract(body, '$.state') FROM document
    WHERE kind LIKE 'fence %' AND json_extract(body, '$.state') NOT IN ('active', 'retired')`;
