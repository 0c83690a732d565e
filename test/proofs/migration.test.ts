/** The story told against fake agents: where it leads, whatever goes wrong on the way. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decideMigration } from "../../controller/store/migrations.js";
import { Fault } from "../../proto/fault.js";
import type { PerformRequest } from "../../proto/gen/ferry/v1/agent.js";
import type { VerifyReceiptResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { CopiedFile } from "../../proto/gen/ferry/v1/model.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => closeUnharmed(center));

const ON = (host: string, kind = "server") => [
  `${kind} on ${host}: DISK_GB 1`,
  `${kind} on ${host}: MEMORY_MB 512`,
  `${kind} on ${host}: VCPU 1`,
];

/** As it was before anything was asked. */
async function expectUntouched(): Promise<void> {
  expect(await center.server()).toMatchObject({
    host: "h1",
    status: "ACTIVE",
    taskState: "",
    migrationId: "",
  });
  expect(center.agents.agent("h1").host.domains.get(WEB)?.state).toBe("RUNNING");
  expect(center.disksOn("h1")).toEqual(center.originalDisks);
  expect(await center.allocations()).toEqual(ON("h1"));
  for (const other of ["h2", "h3"]) {
    const { host } = center.agents.agent(other);
    expect([host.files.size, host.domains.size]).toEqual([0, 0]);
  }
}

async function expectMoved(): Promise<void> {
  expect(await center.server()).toMatchObject({
    host: "h2",
    status: "ACTIVE",
    taskState: "",
    migrationId: "",
  });
  expect(center.agents.agent("h2").host.domains.get(WEB)?.state).toBe("RUNNING");
  expect(center.disksOn("h2")).toEqual(center.originalDisks);
  expect(await center.allocations()).toEqual(ON("h2"));
  expect(center.agents.agent("h1").host.files.size).toBe(0);
}

describe("a migration", () => {
  it("is visible before the call answers, and holds its server", async () => {
    const migration = await center.migrate();
    expect(await center.server()).toMatchObject({ taskState: "resize_prep", migrationId: migration.id });
    await expect(center.migrate()).rejects.toThrow(
      /Cannot 'migrate' instance web while it is in task_state resize_prep/,
    );
    await center.rest();
  });

  it("waits for a verdict with both hosts booked, the target running and the source fenced", async () => {
    await center.migrate();
    expect(await center.rest()).toMatchObject({ status: "finished", direction: "waiting", targetHost: "h2" });
    expect(await center.server()).toMatchObject({
      host: "h2",
      status: "VERIFY_RESIZE",
      powerState: "RUNNING",
    });
    expect(await center.allocations()).toEqual([...ON("h1", "migration"), ...ON("h2")]);
    expect(center.disksOn("h2")).toEqual(center.originalDisks);
  });

  it("is limited at its source while it copies, and not once that is over", async () => {
    const { migrations } = center.controller;
    center.agents.troubles.push({ verb: "send_disks", kind: "hang", times: 1 });
    const { id } = await center.migrate();
    expect((await migrations.limit(id, 1024, "test")).notes).toEqual([
      "copy limited to 1024 bytes per second by test",
    ]);
    expect(center.agents.limits.get(id)).toBe(1024);
    await migrations.cancel(id, "test");
    await center.ended();
    await expect(migrations.limit(id, 0, "test")).rejects.toThrow(/copies nothing any more/);
    expect(center.agents.limits.get(id)).toBe(1024);
  });

  it("has a receipt that can be verified as soon as it is finished, and not after a revert", async () => {
    const { migrations } = center.controller;
    await center.migrate();
    const { id, receipt } = await center.rest();
    const verify = async (files: readonly CopiedFile[] = []) => {
      const answers: VerifyReceiptResponse[] = [];
      const { signal } = new AbortController();
      for await (const answer of migrations.verify(id, files, signal)) answers.push(answer);
      return answers;
    };
    expect((await verify()).map(({ host, verdict }) => [host, verdict?.id, verdict?.outcome])).toEqual(
      receipt.map(file => ["h2", file.id, "equal"]),
    );
    const forged = receipt.map(file => ({ ...file, digest: "another" }));
    expect((await verify(forged)).map(({ verdict }) => verdict?.outcome)).toContain("differs");
    await migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
    await center.ended();
    await expect(verify()).rejects.toThrow(/cannot be verified/);
  });

  it("ends confirmed with nothing left on the source", async () => {
    await center.migrate();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "test");
    expect(await center.ended()).toMatchObject({ status: "confirmed", direction: "ended" });
    await expectMoved();
  });

  it("is reverted to exactly what was before", async () => {
    await center.migrate();
    await center.rest();
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
    expect(await center.ended()).toMatchObject({ status: "reverted" });
    await expectUntouched();
  });

  it("asks before it discards what the target wrote", async () => {
    await center.migrate();
    await center.rest();
    const revert = center.controller.migrations.revert(WEB, { discardWrites: false, requestedBy: "test" });
    await expect(revert).rejects.toThrow(/will be discarded/);
    expect(center.agents.calls.at(-1)).toMatch(/release_target/);
  });

  it("does not stop the target when the source cannot be restored", async () => {
    await center.migrate();
    await center.rest();
    center.agents.agent("h1").host.files.clear();
    const revert = center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
    await expect(revert).rejects.toThrow(/cannot be restored/);
    expect(center.agents.agent("h2").host.domains.get(WEB)?.state).toBe("RUNNING");
    expect(await center.migration()).toMatchObject({ status: "finished" });
  });

  it("asks the source again when the revert begins, and stops nothing when something was lost since", async () => {
    await center.migrate();
    await center.rest();
    const { agents } = center;
    const check = agents.afterEffect;
    agents.afterEffect = () => {
      check();
      if (agents.calls.at(-1)?.includes("preflight_revert")) agents.agent("h1").host.files.clear();
    };
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "release-target" });
    expect(agents.agent("h2").host.domains.get(WEB)?.state).toBe("RUNNING");
  });

  it("goes on with a target that has everything and does not expect the source any more", async () => {
    const fault = new Fault("not-found", "no copy of it is expected here");
    center.agents.troubles.push({ verb: "send_disks", kind: "fail", fault });
    await center.migrate();
    expect(await center.rest()).toMatchObject({ status: "finished" });
  });

  it("is not decided by a late word about another one", async () => {
    const { id: first } = await center.migrate();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "test", { migration: first });
    await center.ended();
    const { id } = await center.migrate("h3");
    const { migrations } = center.controller;
    await center.passTime(async () => (await migrations.show(id)).status === "finished");
    const late = { discardWrites: true, requestedBy: "test", migration: first };
    await expect(migrations.revert(WEB, late)).rejects.toThrow(/verdict on another migration/);
    await expect(migrations.confirm(WEB, "test", late)).rejects.toThrow(/verdict on another migration/);
    expect(await migrations.show(id)).toMatchObject({ status: "finished" });
  });

  it("is decided once: of confirm and revert at the same time one is refused", async () => {
    await center.migrate();
    await center.rest();
    const { migrations } = center.controller;
    const both = await Promise.allSettled([
      migrations.confirm(WEB, "one"),
      migrations.revert(WEB, { discardWrites: true, requestedBy: "other" }),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    await center.ended();
  });

  it("is decided by one guarded update, whoever asks", async () => {
    const { id } = await center.migrate();
    await center.rest();
    const decide = (to: "confirming" | "reverting") =>
      decideMigration(center.store.queries, id, "finished", to, center.clock.nowMs());
    expect(await decide("reverting")).toBe(true);
    expect(await decide("confirming")).toBe(false);
    expect(await decide("reverting")).toBe(false);
  });

  it.each([
    ["confirmed", () => center.controller.migrations.confirm(WEB, "ada")],
    ["reverted", () => center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "ada" })],
    ["moved again", () => center.migrate("h1")],
  ])("is %s right after a restart, as soon as the hosts are heard", async (what, ask) => {
    await center.move();
    await center.rest();
    if (what === "moved again") {
      await center.controller.migrations.confirm(WEB, "ada");
      await center.ended();
    }
    const agents = [...center.agents.agents.values()];
    for (const agent of agents) agent.isReachable = false;
    await center.restart();
    expect(center.takenUp).toEqual(what === "moved again" ? [] : ["waiting"]);
    for (const agent of agents) agent.isReachable = true;
    let isAnswered = false;
    const answer = ask().finally(() => {
      isAnswered = true;
    });
    await center.passTime(() => isAnswered);
    await answer;
    await center.rest();
  });

  it("is not confirmed while the target is silent: the source may be all that is left", async () => {
    await center.migrate();
    await center.rest();
    const target = center.agents.agent("h2");
    target.isReachable = false;
    const { fleet, migrations } = center.controller;
    center.clock.advance(60_000);
    await center.passTime(() => fleet.stateOf("h1") === "up" && fleet.stateOf("h2") === "down");
    await expect(migrations.confirm(WEB, "test")).rejects.toMatchObject({
      detail: { have: "the agent of h2 is down" },
    });
    expect(await center.migration()).toMatchObject({ status: "finished" });
    target.isReachable = true;
    center.clock.advance(5_000);
    await center.passTime(() => fleet.stateOf("h2") === "up");
    await migrations.confirm(WEB, "test");
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
  });

  it("keeps the source when the target does not stand by its word at confirm", async () => {
    await center.migrate();
    await center.rest();
    center.agents.agent("h2").journal.guest(WEB).role = "fenced";
    await center.controller.migrations.confirm(WEB, "test");
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "retire-source" });
    expect(center.agents.agent("h1").host.files.size).toBe(2);
    center.agents.agent("h2").journal.guest(WEB).role = "active";
    await center.controller.migrations.recover((await center.migration()).id, {
      planOnly: false,
      requestedBy: "test",
    });
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
  });

  it("moves on to the next host when one refuses, and leaves nothing there", async () => {
    const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "h2" };
    center.agents.agent("h2").refusals = [refusal];
    await center.migrate("");
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h3" });
    expect(center.agents.agent("h2").journal.tombstones.size).toBe(1);
    expect(await center.allocations()).toEqual([...ON("h1", "migration"), ...ON("h3")]);
  });

  describe("whose first target refused and was let go", () => {
    const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "h2" };
    /** Before anything follows, `then` happens. */
    const letGo = (then: () => Promise<unknown>) => {
      center.agents.agent("h2").refusals = [refusal];
      const perform = center.agents.perform.bind(center.agents);
      center.agents.perform = async (host, request, options) => {
        const result = await perform(host, request, options);
        if (host === "h2" && request.verb?.$case === "closeMigration") await then();
        return result;
      };
    };

    it("ends as it began when every other one is full by then, and names them all", async () => {
      const { queries } = center.store;
      letGo(() => queries.updateTable("inventory").set({ total: 0 }).where("host", "=", "h3").execute());
      await center.migrate("");
      const { fault, status } = await center.ended();
      expect([status, fault?.code, fault?.message]).toEqual([
        "error",
        "no-valid-host",
        "No valid host was found. h2: no bridge br7; h3: host h3 has not enough CPU",
      ]);
      await expectUntouched();
    });

    it("goes on to the next one although it reaches it after all, when the answer to the last of that was lost", async () => {
      const fault = new Fault("unreachable", "no route to the data port");
      center.agents.troubles.push({ verb: "probe_transfer", kind: "fail", fault, times: 2 });
      center.agents.troubles.push({ verb: "close_migration", host: "h2", kind: "lose", times: 1 });
      await center.migrate("");
      expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h3" });
      expect((await center.migration()).refusals.map(({ host }) => host)).toEqual(["h2"]);
    });

    it("ends as it began when it is cancelled before the next one is booked", async () => {
      letGo(async () => center.controller.migrations.cancel((await center.migration()).id, "test"));
      await center.migrate("");
      expect(await center.ended()).toMatchObject({ status: "error", fault: { code: "cancelled" } });
      expect(center.agents.calls.some(call => call.startsWith("h3"))).toBe(false);
      await expectUntouched();
    });
  });

  it("goes no further than the host that was asked for", async () => {
    const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "h2" };
    center.agents.agent("h2").refusals = [refusal];
    await center.migrate("h2");
    expect(await center.ended()).toMatchObject({
      status: "error",
      fault: { code: "refused", message: "no bridge br7" },
    });
    await expectUntouched();
  });

  it("asks a target again whose answer was lost, instead of taking that for a refusal", async () => {
    center.agents.troubles.push({ verb: "prepare_target", host: "h2", kind: "lose", times: 1 });
    await center.migrate("");
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h2" });
  });

  it("passes over a target that does not answer, without having asked it for anything", async () => {
    center.agents.troubles.push({
      verb: "attest",
      host: "h2",
      kind: "fail",
      fault: new Fault("unreachable", "no route"),
    });
    await center.migrate("");
    expect(await center.rest()).toMatchObject({ status: "finished", targetHost: "h3" });
    expect(center.agents.calls.some(call => call.startsWith("h2"))).toBe(false);
  });

  it("waits for a target that restarts and was the only one, and asks it once it answers", async () => {
    const fault = new Fault("unreachable", "no route");
    center.agents.troubles.push({ verb: "attest", host: "h2", kind: "fail", fault, times: 3 });
    await center.migrate("h2");
    expect(await center.rest()).toMatchObject({
      status: "finished",
      targetHost: "h2",
      notes: ["h2 does not answer; it is asked again for 60 s"],
    });
  });

  it("gives up the only target when it stays away for a minute, and the guest has run all the time", async () => {
    const fault = new Fault("unreachable", "no route");
    center.agents.troubles.push({ verb: "attest", host: "h2", kind: "fail", fault });
    const askedMs = center.clock.nowMs();
    await center.migrate("h2");
    expect(await center.ended()).toMatchObject({
      status: "error",
      fault: { code: "no-valid-host", message: "host h2 does not answer: no route" },
    });
    expect(center.clock.nowMs() - askedMs).toBeGreaterThanOrEqual(60_000);
    await expectUntouched();
  });

  it("can be cancelled while it waits for its target", async () => {
    const fault = new Fault("unreachable", "no route");
    center.agents.troubles.push({ verb: "attest", host: "h2", kind: "fail", fault });
    const { id } = await center.migrate("h2");
    await center.passTime(async () => (await center.migration()).notes.length > 0);
    await center.controller.migrations.cancel(id, "test");
    expect(await center.ended()).toMatchObject({ status: "error", fault: { code: "cancelled" } });
    await expectUntouched();
  });

  it("cannot be cancelled once the target may run", async () => {
    const { id } = await center.migrate();
    await center.rest();
    await expect(center.controller.migrations.cancel(id, "test")).rejects.toThrow(
      /cannot be cancelled any more/,
    );
  });

  it("is taken back when it is cancelled while it copies", async () => {
    center.agents.troubles.push({ verb: "receive_disks", kind: "hang" });
    const { id } = await center.migrate();
    await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
    await center.controller.migrations.cancel(id, "test");
    expect(await center.ended()).toMatchObject({ status: "error", fault: { code: "cancelled" } });
    await expectUntouched();
  });

  it("is taken back when the guest has been off for longer than its server allows", async () => {
    center.agents.troubles.push({ verb: "receive_disks", kind: "hang" });
    await center.migrate();
    const migration = await center.ended();
    expect(migration).toMatchObject({ status: "error", fault: { code: "timeout" } });
    expect(migration.fault?.message).toMatch(/off for longer than its server allows/);
    await expectUntouched();
  });

  it("never turns back by itself once the target may run: it repeats until the target answers", async () => {
    const unreachable = new Fault("unreachable", "link down");
    center.agents.troubles.push({ verb: "release_target", kind: "fail", fault: unreachable, times: 12 });
    await center.migrate();
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "release-target" });
    await center.passTime(async () => (await center.migration()).status === "finished");
    expect(await center.server()).toMatchObject({ status: "VERIFY_RESIZE", host: "h2" });
    expect(center.agents.calls.some(call => call.includes("withdraw"))).toBe(false);
  });

  it("is stuck, visibly, when the target plainly cannot run, and goes back when a person says so", async () => {
    center.agents.troubles.push({ verb: "release_target", kind: "fail" });
    await center.migrate();
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "release-target" });
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
    expect(await center.ended()).toMatchObject({ status: "reverted" });
    await expectUntouched();
  });

  it("goes back when a person says so, also while it still keeps trying", async () => {
    const unreachable = new Fault("unreachable", "link down");
    center.agents.troubles.push({ verb: "release_target", kind: "fail", fault: unreachable });
    await center.migrate();
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "release-target" });
    await center.controller.migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
    expect(await center.ended()).toMatchObject({ status: "reverted" });
    await expectUntouched();
  });

  it("does not take back by itself what somebody started before Ferry did, and does so for a person", async () => {
    center.agents.troubles.push({ verb: "create_target", kind: "fail" });
    const { journal } = center.agents.agent("h2");
    const { afterEffect } = center.agents;
    center.agents.afterEffect = () => {
      if (journal.guest(WEB).role === "incoming") journal.guest(WEB).mayHaveRun = true;
      afterEffect();
    };
    const { id } = await center.migrate();
    expect(await center.rest()).toMatchObject({
      status: "stuck",
      step: "fence-source",
      fault: { code: "stuck" },
    });
    expect(center.agents.agent("h1").host.isRunnable(WEB)).toBe(false);
    const { plan } = await center.controller.migrations.recover(id, { planOnly: true, requestedBy: "test" });
    expect(plan).toEqual([
      "take back fence-source, then carry on unwinding",
      "or go back and lose the target's writes: ferry server revert web",
      expect.stringContaining("to keep what it wrote there by hand, save its disks on h2 first"),
    ]);
    await center.controller.migrations.recover(id, { planOnly: false, requestedBy: "test" });
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "fence-source" });
    const revert = (discardWrites: boolean) =>
      center.controller.migrations.revert(WEB, { discardWrites, requestedBy: "test" });
    await expect(revert(false)).rejects.toThrow("what web has written on h2 will be discarded");
    await revert(true);
    expect(await center.ended()).toMatchObject({ status: "reverted" });
    await expectUntouched();
  });

  it("goes on when a person has looked, also while it still keeps trying", async () => {
    const unreachable = new Fault("unreachable", "link down");
    center.agents.troubles.push({ verb: "release_target", kind: "fail", fault: unreachable, times: 12 });
    const { id } = await center.migrate();
    await center.rest();
    const answer = await center.controller.migrations.recover(id, { planOnly: false, requestedBy: "test" });
    expect(answer.findings).toHaveLength(3);
    expect(answer.plan[0]).toBe("repeat release-target, then carry on forward");
    await center.passTime(async () => (await center.migration()).status === "finished");
    expect(await center.server()).toMatchObject({ status: "VERIFY_RESIZE" });
  });

  it("lets the source run again only when the target has given its word", async () => {
    center.agents.troubles.push({ verb: "prepare_disks", kind: "fail" });
    const silent = new Fault("unreachable", "h2 is dark");
    center.agents.troubles.push({ verb: "withdraw_target", kind: "fail", fault: silent, times: 60 });
    await center.migrate();
    expect(await center.rest()).toMatchObject({ status: "stuck", step: "fence-source" });
    expect(center.agents.agent("h1").host.isRunnable(WEB)).toBe(false);
    expect(await center.ended()).toMatchObject({ status: "error" });
    await expectUntouched();
  });

  it("cannot be joined by what was sent before it was taken back and arrives late", async () => {
    const { agents } = center;
    agents.troubles.push({ verb: "create_target", kind: "hang" });
    const perform = agents.perform.bind(agents);
    const late: PerformRequest[] = [];
    const answers: PromiseSettledResult<unknown>[] = [];
    agents.perform = async (host, request, options) => {
      const verb = request.verb?.$case ?? "";
      if (verb === "defineTarget" || verb === "createTarget")
        late.push({ ...request, key: `${request.key}:late` });
      const answer = await perform(host, request, options);
      if (verb !== "unfenceIncarnation") return answer;
      agents.troubles.length = 0;
      const { signal } = new AbortController();
      for (const sent of late) answers.push(...(await Promise.allSettled([perform("h2", sent, { signal })])));
      return answer;
    };
    await center.migrate();
    expect(await center.ended()).toMatchObject({ status: "error" });
    expect(answers.length).toBeGreaterThan(1);
    for (const answer of answers)
      expect(answer).toMatchObject({ status: "rejected", reason: { code: "stale-epoch" } });
    await expectUntouched();
  });

  it("tells that the guest was destroyed", async () => {
    center.agents.deafGuests.add(WEB);
    await center.migrate();
    expect((await center.rest()).notes).toContain("guest ignored ACPI shutdown for 60 s: destroyed");
  });

  it("says how long the guest was off", async () => {
    await center.migrate();
    expect((await center.rest()).downtimeMs).toBeGreaterThan(0);
  });
});

describe("a stopped server", () => {
  beforeEach(async () => {
    await center.close();
    center = await Datacenter.open({ isRunning: false });
  });

  it("stays stopped, on its target, and can be started there", async () => {
    await center.migrate();
    await center.rest();
    expect(center.agents.calls.some(call => /stop_domain|release_target/.test(call))).toBe(false);
    await center.controller.migrations.confirm(WEB, "test");
    await center.ended();
    expect(await center.server()).toMatchObject({ host: "h2", status: "SHUTOFF" });
    await center.controller.servers.startServer(WEB, "test");
    expect(center.agents.agent("h2").host.domains.get(WEB)?.state).toBe("RUNNING");
  });

  it("stays stopped when it is taken back", async () => {
    center.agents.troubles.push({ verb: "define_target", kind: "fail" });
    await center.migrate();
    expect(await center.ended()).toMatchObject({ status: "error" });
    expect(center.agents.agent("h1").host.domains.get(WEB)?.state).toBe("SHUTDOWN");
    expect(await center.server()).toMatchObject({ host: "h1", status: "SHUTOFF" });
  });
});
