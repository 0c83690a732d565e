import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fleet, HEARTBEAT_INTERVAL_MS, SILENT_AFTER_MS } from "../../../controller/fleet/fleet.js";
import { readFreeze, refuseFrozen } from "../../../controller/store/freeze.js";
import { insertServer } from "../../../controller/store/servers.js";
import type { Store } from "../../../controller/store/store.js";
import type { Fault } from "../../../proto/fault.js";
import { HeartbeatRequest } from "../../../proto/gen/ferry/v1/controller.js";
import { VirtualClock } from "../../simulation/virtual-clock.js";
import { openFreshStore } from "../../store-under-test.js";
import { serverRecord } from "../store/records.js";

let store: Store;
let clock: VirtualClock;
let fleet: Fleet;
beforeEach(async () => {
  store = await openFreshStore();
  clock = new VirtualClock();
  fleet = new Fleet({ store, clock });
});
afterEach(() => store.close());

const beat = (changes: Partial<HeartbeatRequest> = {}) =>
  fleet.heartbeat(
    HeartbeatRequest.fromPartial({
      host: "h1",
      address: "h1:1",
      machineId: "m",
      installId: "i",
      incarnation: 7,
      ...changes,
    }),
  );

describe("a host", () => {
  it("is unknown until it is heard, then up, then down after three intervals of silence", async () => {
    expect(fleet.stateOf("h1")).toBe("unknown");
    await beat();
    expect(fleet.stateOf("h1")).toBe("up");
    clock.advance(3 * HEARTBEAT_INTERVAL_MS);
    expect(fleet.stateOf("h1")).toBe("up");
    clock.advance(1);
    expect(fleet.stateOf("h1")).toBe("down");
    await beat();
    expect(fleet.stateOf("h1")).toBe("up");
  });

  it("is unknown, not down, to a controller that has just started", async () => {
    await beat();
    clock.advance(3_600_000);
    expect(new Fleet({ store, clock }).stateOf("h1")).toBe("unknown");
  });

  it("keeps being disabled whatever its agent says", async () => {
    await beat();
    await fleet.setStatus("h1", false, "RAM fault");
    await beat();
    expect(await fleet.show("h1")).toMatchObject({ status: "disabled", disabledReason: "RAM fault" });
  });

  it("that nobody has heard of is not found", async () => {
    await expect(fleet.show("h9")).rejects.toThrow("Compute host h9 could not be found.");
  });

  it("offers what it last reported", async () => {
    const inventory = { resourceClass: "VCPU", total: 8, reserved: 0, allocationRatio: 4, used: 0 };
    await beat({ inventories: [inventory] });
    await beat({ inventories: [{ ...inventory, total: 6 }] });
    expect((await fleet.show("h1")).inventories).toEqual([{ ...inventory, total: 6 }]);
  });
});

describe("a host that may have been restored or cloned", () => {
  it.each([
    ["whose start counter went back", { incarnation: 6 }, /went back from 7 to 6/],
    ["whose installation is on another machine", { machineId: "other" }, /was m before and is other now/],
  ])("%s takes no server until a person enables it", async (_what, changes, problem) => {
    await beat();
    await beat(changes);
    await beat(changes);
    expect((await fleet.show("h1")).hookProblem).toMatch(problem);
    await fleet.setStatus("h1", true);
    await beat(changes);
    expect((await fleet.show("h1")).hookProblem).toBe("");
  });
});

describe("a host in quarantine", () => {
  it("is told so with every heartbeat, until a person ends it", async () => {
    expect((await beat()).quarantine).toBe("");
    expect((await beat({ incarnation: 6 })).quarantine).toMatch(/went back from 7 to 6/);
    expect((await beat({ incarnation: 8 })).quarantine).toMatch(/went back from 7 to 6/);
    await fleet.setStatus("h1", true);
    expect((await beat({ incarnation: 9 })).quarantine).toBe("");
  });

  it("is one of two agents that call themselves the same start of one installation", async () => {
    await beat({ instanceId: "one" });
    expect((await beat({ instanceId: "one" })).quarantine).toBe("");
    expect((await beat({ instanceId: "two" })).quarantine).toMatch(/its start number 7/);
  });
});

describe("a store that is older than what an agent has seen", () => {
  const server = (epoch: number) =>
    insertServer(store.queries, serverRecord({ id: "s1", name: "web", epoch }));

  it("stands still from the first heartbeat that tells of a higher epoch", async () => {
    await server(3);
    await beat({ epochs: { s1: 3, "a stranger": 99 } });
    expect(await readFreeze(store.queries)).toBeUndefined();
    await beat({ epochs: { s1: 4 } });
    expect((await readFreeze(store.queries))?.reason).toBe(
      "h1 has seen epoch 4 of web, this store knows 3: it was restored from an older copy",
    );
    await beat({ epochs: { s1: 5 } });
    expect((await readFreeze(store.queries))?.reason).toContain("epoch 4");
    await expect(refuseFrozen(store.queries)).rejects.toThrow(/everything stands still: h1 has seen epoch 4/);
  });
});

describe("a controller that has just started", () => {
  const PATIENCE_MS = 20_000;
  const passes = async (waiting: Promise<void>, meanwhile = async () => {}) => {
    let outcome = "";
    waiting.then(
      () => (outcome = "ready"),
      (fault: Fault) => (outcome = `${fault.message} ${fault.detail.have}`),
    );
    // A real store answers when it does, however many turns that takes.
    const deadlineMs = performance.now() + PATIENCE_MS;
    await clock.until(async () => {
      await meanwhile();
      return outcome !== "" || performance.now() > deadlineMs;
    }, Infinity);
    return { outcome, afterMs: clock.monotonicMs() - startedMs };
  };
  let startedMs: number;
  beforeEach(async () => {
    await beat();
    await beat({ host: "h2" });
    startedMs = clock.monotonicMs();
    fleet = new Fleet({ store, clock });
  });

  it("waits for a host's first word before it would refuse for want of it", async () => {
    const { outcome, afterMs } = await passes(fleet.refuseDown("h1"), async () => {
      if (clock.monotonicMs() - startedMs >= HEARTBEAT_INTERVAL_MS) await beat();
    });
    expect(outcome).toBe("ready");
    expect(afterMs).toBeLessThan(HEARTBEAT_INTERVAL_MS + 1_000);
  });

  it("refuses a host that says nothing when it counts as down, and not before", async () => {
    const { outcome, afterMs } = await passes(fleet.refuseDown("h1"));
    expect(outcome).toBe("Service is unavailable at this time. the agent of h1 is down");
    expect(afterMs).toBeGreaterThan(SILENT_AFTER_MS);
    expect(afterMs).toBeLessThan(SILENT_AFTER_MS + 1_000);
  });

  it("does not wait for a host that a person has called down", async () => {
    await fleet.forceDown("h1", true);
    expect(await passes(fleet.refuseDown("h1"))).toEqual({
      outcome: "Service is unavailable at this time. h1 was forced down",
      afterMs: 0,
    });
  });

  it("waits for every host where any may be chosen, and only after a start", async () => {
    await beat();
    const { afterMs } = await passes(fleet.firstWords());
    expect(afterMs).toBeGreaterThan(SILENT_AFTER_MS);
    startedMs = clock.monotonicMs();
    expect(await passes(fleet.firstWords())).toEqual({ outcome: "ready", afterMs: 0 });
  });
});
