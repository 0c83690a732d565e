/** The audit of the bookings: it finds every kind of wrong, heals what is certain, and leaves the rest alone. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { auditPlacement } from "../../../controller/placement/audit.js";
import { listBookings } from "../../../controller/placement/bookings.js";
import { insertAllocations } from "../../../controller/store/allocations.js";
import { Datacenter, WEB } from "../../simulation/datacenter.js";

let center: Datacenter;
beforeEach(async () => {
  center = await Datacenter.open();
});
afterEach(() => center.close());

const audit = (heal = false) => auditPlacement(center.store, { heal });
const kinds = async () => (await audit()).map(({ kind }) => kind);
const query = () => center.store.queries;

it("has nothing to say when every booking is right, at any moment of a migration", async () => {
  expect(await audit()).toEqual([]);
  await center.migrate();
  await center.passTime(async () => {
    expect(await audit()).toEqual([]);
    return (await center.migration()).status === "finished";
  });
  await center.controller.migrations.confirm(WEB, "test");
  await center.ended();
  expect(await audit()).toEqual([]);
});

describe("an audit", () => {
  it("finds bookings of nobody and removes them", async () => {
    const gone = {
      consumer: "gone",
      consumerKind: "migration",
      host: "h2",
      resourceClass: "VCPU",
      amount: 1,
    };
    await insertAllocations(query(), [{ ...gone, consumerKind: "migration" }]);
    expect(await audit()).toMatchObject([
      { kind: "orphaned", host: "h2", have: "VCPU 1 on h2", healed: false },
    ]);
    expect(await audit(true)).toMatchObject([{ kind: "orphaned", healed: true }]);
    expect(await audit()).toEqual([]);
  });

  it.each([
    ["missing", () => query().deleteFrom("allocation").execute()],
    ["wrong-amount", () => query().updateTable("allocation").set({ amount: 3 }).execute()],
    ["wrong-host", () => query().updateTable("allocation").set({ host: "h3" }).execute()],
  ])("finds a booking that is %s and makes it what the server needs", async (kind, damage) => {
    const before = await center.allocations();
    await damage();
    expect(await kinds()).toEqual([kind]);
    expect(await audit(true)).toMatchObject([{ healed: true, serverName: WEB }]);
    expect(await center.allocations()).toEqual(before);
    expect(await audit()).toEqual([]);
  });

  it("says of a host that it is oversold, which no booking could correct", async () => {
    await query().updateTable("inventory").set({ total: 0 }).where("host", "=", "h1").execute();
    const findings = await audit(true);
    expect(new Set(findings.map(({ kind, host, healed }) => `${kind} ${host} ${healed}`))).toEqual(
      new Set(["oversold h1 false"]),
    );
  });

  it("leaves a server alone whose migration is open", async () => {
    await center.migrate();
    await center.rest();
    await query().deleteFrom("allocation").where("consumer_kind", "=", "migration").execute();
    const [finding] = await audit(true);
    expect(finding).toMatchObject({ kind: "wrong-amount", healed: false });
    expect(finding?.remark).toMatch(/is open: look again when it has ended/);
  });
});

it("bookings are listed by consumer, with the server's name also for a migration", async () => {
  await center.migrate();
  await center.rest();
  const bookings = await listBookings(query(), "");
  expect(bookings.map(({ host, consumerKind, serverName }) => [host, consumerKind, serverName])).toEqual(
    expect.arrayContaining([
      ["h1", "migration", WEB],
      ["h2", "server", WEB],
    ]),
  );
});
