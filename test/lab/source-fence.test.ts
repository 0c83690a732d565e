/**
 * SAFETY R6: once a server has left, its old host refuses to run it, whoever asks and whatever happened to the host.
 * Nobody but libvirt and the hook takes part in the refusal.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { type Lab, PATIENCE_MS, waitFor } from "./lab.js";
import { confirm, createServer, fleetUp, migrate, serverOf } from "./support/fleet.js";
import { domainsOn } from "./support/host-files.js";

let lab: Lab;
let migration: Migration;

beforeAll(async () => {
  lab = await fleetUp({ id: "source-fence", hosts: 2 });
  await createServer(lab, "web");
  const xml = await lab.output("h1", ["virsh", "-q", "dumpxml", "--inactive", "--security-info", "web"]);
  // It has hardly begun to boot, and so does not hear its power button.
  migration = await migrate(lab, "web", "h2", "--shutdown-timeout", "1");
  await lab.output("h1", ["virsh", "-q", "define", "/dev/stdin"], { input: xml });
});
afterAll(() => lab.down());

describe("the old definition of a migrated server, defined again on the source", () => {
  const state = () => lab.output("h1", ["virsh", "-q", "domstate", "web"]);
  const refusal = () =>
    new RegExp(`ferry: refused to prepare web: migration ${migration.id} holds this server back`);

  it("is not started by virsh, which says why", async () => {
    const started = await lab.exec("h1", ["virsh", "-q", "start", "web"]);
    expect(started.code).toBe(1);
    expect(started.stderr).toMatch(refusal());
    expect(await state()).toBe("shut off");
  });

  it("is not started by autostart after a power cut", async () => {
    await lab.output("h1", ["virsh", "-q", "autostart", "web"]);
    const refusals = async () => (await lab.logs("h1")).split(refusal()).length - 1;
    const before = await refusals();
    await lab.kill("h1");
    await lab.start("h1");
    await waitFor(async () => (await refusals()) > before, {
      deadlineMs: PATIENCE_MS,
      what: "libvirt has tried to start web by itself, and was refused",
    });
    expect(await state()).toBe("shut off");
    await lab.output("h1", ["virsh", "-q", "undefine", "web"]);
  });

  it("changes nothing: the server runs on the target, and is confirmed", async () => {
    expect(await lab.output("h2", ["virsh", "-q", "domstate", "web"])).toBe("running");
    await confirm(lab, "web");
    expect(await serverOf(lab, "web")).toMatchObject({ host: "h2", status: "ACTIVE" });
    expect(await domainsOn(lab, "h1")).toEqual([]);
  });
});

it("a guest that does not hear its power button is switched off, and the migration says so", () => {
  expect(migration.notes.join("\n")).toMatch(/destroy|switched off|power/i);
});
