/**
 * SAFETY R13: the controller's database was restored from a backup that is older than the world. Nothing moves until the
 * epochs were raised; what agrees with its hosts goes on by itself, the rest waits for a person.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Audit } from "../../controller/migration/audit.js";
import { EpochRaise } from "../../controller/migration/epoch-raise.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
let folder: string;
beforeEach(async () => {
  center = await Datacenter.open();
  folder = mkdtempSync(join(tmpdir(), "ferry-restore-"));
});
afterEach(async () => {
  await closeUnharmed(center);
  rmSync(folder, { recursive: true });
});

const backup = () => join(folder, "backup.db");
const raise = (planOnly = false) =>
  new EpochRaise(center.controller.deps, center.controller.migrations).raise({
    planOnly,
    withoutHosts: [],
    requestedBy: "user/ann",
  });
const recover = async (planOnly = false) =>
  center.controller.migrations.recover((await center.migration()).id, { planOnly, requestedBy: "user/ann" });
const expectFrozen = async () =>
  expect(center.controller.migrations.migrate({ server: WEB, host: "h3", requestedBy: "t" })).rejects.toThrow(
    /everything stands still: .* it was restored from an older copy/,
  );

describe("a database from before a migration that was confirmed", () => {
  beforeEach(async () => {
    await center.backup(backup());
    await center.migrate();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "test");
    await center.ended();
    await center.restore(backup());
  });

  it("stands still: nothing can be asked for, and no agent is", async () => {
    const calls = center.agents.calls.length;
    await expectFrozen();
    await expect(center.controller.servers.stopServer(WEB, { requestedBy: "t" })).rejects.toThrow(
      /stands still/,
    );
    expect(center.agents.calls.length).toBe(calls);
  });

  it("learns from the agents where the server lives, and goes on from there", async () => {
    const { plan } = await raise(true);
    expect(plan).toEqual(["web: epoch 1 → 1002, home h1 → h2, where its agent has it"]);
    await expectFrozen();
    await raise();
    expect(await center.server()).toMatchObject({ host: "h2", status: "ACTIVE", epoch: 1002 });
    expect(await center.allocations()).toContain("server on h2: VCPU 1");
    await center.elapse(1_000);
    await center.migrate("h3");
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h3" });
    expect(await new Audit(center.controller.deps).look(false)).toEqual([]);
  });

  it("is not raised while a host is silent, unless it is left out by name", async () => {
    center.agents.agent("h3").isReachable = false;
    await center.elapse(20_000);
    await expect(raise()).rejects.toThrow(/h3 is silent/);
    await expectFrozen();
  });
});

describe("a database from the middle of a migration", () => {
  /** Backed up when the copy begins; then the world goes on. */
  async function restoreAfter(decide: () => Promise<unknown>): Promise<void> {
    center.agents.troubles.push({ verb: "receive_disks", kind: "hang" });
    await center.migrate();
    await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
    await center.backup(backup());
    center.agents.troubles.length = 0;
    await center.restart();
    await center.rest();
    await decide();
    await center.restore(backup());
  }

  it("goes on by itself when its hosts have not been asked for more than it knows", async () => {
    await restoreAfter(async () => undefined);
    // Nobody has raised an epoch since: the restored saga is asked again and finds everything done.
    expect(await center.rest()).toMatchObject({ status: "finished" });
  });

  it.each([
    [
      "reverted",
      () => center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "t" }),
      "h1",
    ],
  ] as const)(
    "is stuck, with a plan, when it was %s since; and the plan closes it",
    async (outcome, decide, home) => {
      await restoreAfter(async () => {
        await decide();
        await center.ended();
      });
      const { findings } = await raise();
      expect(findings.join("\n")).toMatch(/h1 has closed it as reverted/);
      expect(await center.migration()).toMatchObject({ status: "stuck" });
      expect((await recover(true)).plan).toEqual([
        `its hosts have ended it long ago: close the record as ${outcome}`,
      ]);
      await recover();
      expect(await center.migration()).toMatchObject({ status: outcome, endedAtMs: expect.any(Number) });
      expect(await center.server()).toMatchObject({ host: home, taskState: "", migrationId: "" });
      expect(await center.allocations()).toHaveLength(3);
      await center.elapse(1_000);
      await center.migrate("h3");
      expect(await center.rest()).toMatchObject({ status: "finished" });
    },
  );
});
