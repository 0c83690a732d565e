/** Servers outside migrations: made, started, stopped, deleted, followed, confirmed by the clock. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AutoConfirm } from "../../controller/migration/auto-confirm.js";
import { insertFlavor } from "../../controller/store/flavors.js";
import { Fault } from "../../proto/fault.js";
import { CreateServerRequest } from "../../proto/gen/ferry/v1/controller.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { Datacenter, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open({ settings: { autoConfirmAfterMs: 60_000 } });
  const flavor = { id: "1", name: "small", vcpus: 1, ramMib: 512, rootGib: 1 };
  await insertFlavor(center.store.queries, Flavor.fromPartial(flavor));
});
afterEach(() => closeUnharmed(center));

const wanted = (changes: Partial<CreateServerRequest> = {}) =>
  CreateServerRequest.fromPartial({
    name: "db",
    flavor: "small",
    imagePath: "/images/i.raw",
    imageFormat: "raw",
    ...changes,
  });

describe("a new server", () => {
  it("is made on the host with most room, booked, and started when asked", async () => {
    const server = await center.controller.servers.create(wanted({ start: true }), "ada");
    expect(server).toMatchObject({ host: "h2", status: "ACTIVE", owner: "ada", taskState: "" });
    expect(await center.allocations()).toContain("server on h2: VCPU 1");
  });

  it("with a taken name is refused and books nothing", async () => {
    const before = await center.allocations();
    const create = center.controller.servers.create(wanted({ name: WEB, host: "h2" }), "ada");
    await expect(create).rejects.toMatchObject({ code: "already-exists" });
    expect(await center.allocations()).toEqual(before);
  });

  it("that its host refuses leaves nothing behind", async () => {
    center.agents.troubles.push({ verb: "create_domain", kind: "fail" });
    const before = await center.allocations();
    await expect(center.controller.servers.create(wanted(), "ada")).rejects.toMatchObject({
      code: "refused",
    });
    await center.passTime(async () => (await center.controller.servers.list()).length === 1);
    expect(await center.allocations()).toEqual(before);
  });
});

describe("a task", () => {
  it("that would give a guest longer than anybody means is refused before it is written down", async () => {
    const tooLong = { need: "86400 s (a day) at most" };
    const stop = center.controller.servers.stopServer(WEB, { timeoutMs: 2 ** 42, requestedBy: "ada" });
    await expect(stop).rejects.toMatchObject({ code: "invalid-argument", detail: tooLong });
    const moved = { server: WEB, shutdownTimeoutMs: 86_400_001, requestedBy: "ada" };
    await expect(center.controller.migrations.migrate(moved)).rejects.toMatchObject({ detail: tooLong });
    expect(await center.server()).toMatchObject({ taskState: "", status: "ACTIVE" });
  });

  it("whose answer was lost is carried on by the next controller, with the same key", async () => {
    center.agents.agent("h1").isReachable = false;
    void center.controller.servers.stopServer(WEB, { requestedBy: "ada" }).catch(() => undefined);
    await center.passTime(async () => (await center.server()).taskState === "powering-off");
    await center.controller.servers.close();
    await center.restart();
    center.agents.agent("h1").isReachable = true;
    await center.passTime(async () => (await center.server()).taskState === "");
    expect(await center.server()).toMatchObject({ status: "SHUTOFF" });
  });

  it("is refused in Nova's words while another one runs", async () => {
    await center.migrate();
    const stop = center.controller.servers.stopServer(WEB, { requestedBy: "ada" });
    await expect(stop).rejects.toThrow(/Cannot 'stop' instance web while it is in task_state resize_/);
    await center.rest();
  });
});

describe("deleting", () => {
  it("in the verify window confirms first, so that nothing is left on the source", async () => {
    await center.migrate();
    await center.rest();
    const deleted = center.controller.servers.deleteServer(WEB, "ada");
    let isGone = false;
    void deleted.finally(() => {
      isGone = true;
    });
    await center.passTime(() => isGone);
    await deleted;
    expect(await center.allocations()).toEqual([]);
    for (const { host } of center.agents.agents.values())
      expect([host.files.size, host.domains.size]).toEqual([0, 0]);
  });
});

describe("auto-confirm", () => {
  const pass = async (elapsedMs: number) => {
    await new AutoConfirm(center.controller.deps, center.controller.migrations).tick(elapsedMs);
  };
  beforeEach(async () => {
    await center.migrate();
    await center.rest();
  });

  it("waits for the whole window", async () => {
    await pass(59_999);
    expect(await center.migration()).toMatchObject({ status: "finished" });
    await pass(1);
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
  });

  it("does not count a step of the wall clock", async () => {
    center.clock.advance(3_600_000);
    await pass(1);
    expect(await center.migration()).toMatchObject({ status: "finished" });
  });

  it("is postponed, and says so, while the target does not say that all is well", async () => {
    center.agents.troubles.push({
      verb: "attest",
      kind: "fail",
      fault: new Fault("unreachable", "no route"),
      times: 1,
    });
    await pass(60_000);
    expect(await center.migration()).toMatchObject({ status: "finished" });
    expect((await center.events()).at(-1)).toBe("auto-confirm postponed: no route");
    await pass(60_000);
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
  });

  it("is postponed when the guest does not run any more", async () => {
    const domain = center.agents.agent("h2").host.domains.get(WEB);
    if (domain !== undefined) domain.state = "SHUTDOWN";
    await pass(60_000);
    expect((await center.events()).at(-1)).toMatch(/postponed: h2 says that the guest is SHUTDOWN/);
  });
});

describe("watching", () => {
  it("tells the story until the migration rests", async () => {
    const { id } = await center.migrate();
    const told: string[] = [];
    let isOver = false;
    const watching = (async () => {
      const signal = new AbortController().signal;
      for await (const { event } of center.controller.migrations.watch(id, { signal, untilEnded: false }))
        told.push(event);
      isOver = true;
    })();
    await center.passTime(() => isOver);
    await watching;
    expect(told.at(-1)).toBe("finished: confirm or revert");
    expect(told).toContain("copy-disks: done");
  });

  it("ends when the watcher leaves", async () => {
    await center.migrate();
    const leave = new AbortController();
    const { id } = await center.rest();
    leave.abort();
    for await (const change of center.controller.migrations.watch(id, {
      signal: leave.signal,
      untilEnded: true,
    })) {
      throw new Error(`told ${change.event}`);
    }
  });
});

describe("a controller that was replaced", () => {
  it("writes nothing more, and does no harm", async () => {
    center.agents.troubles.push({ verb: "receive_disks", kind: "hang", times: 1 });
    const old = center.controller;
    await center.migrate();
    await center.passTime(() => center.agents.calls.includes("h2 receive_disks e2"));
    await center.restart();
    await center.rest();
    await center.controller.migrations.confirm(WEB, "ada");
    expect(await center.ended()).toMatchObject({ status: "confirmed" });
    await old.migrations.close();
  });
});
