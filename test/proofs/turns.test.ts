/** Only so many migrations copy at a time: the others wait with their guests running, in an order that survives a restart. */

import { afterEach, describe, expect, it } from "vitest";
import type { MigrationSettings } from "../../controller/migration/settings.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { Crowd } from "../load/crowd.js";

let crowd: Crowd;
afterEach(async () => {
  expect(crowd.bugs).toEqual([]);
  await crowd.close();
});

const opened = async (hosts: number, servers: number, settings: Partial<MigrationSettings>) => {
  crowd = await Crowd.open({ hosts, servers, settings });
};
const finished = (all: readonly Migration[]) =>
  all.length > 0 && all.every(({ status }) => status === "finished");
const queue = async () =>
  (await crowd.list())
    .filter(({ queuePosition }) => queuePosition > 0)
    .sort((one, other) => one.queuePosition - other.queuePosition)
    .map(({ id }) => id);
const queued = (count: number) =>
  crowd.until(all => all.filter(({ queuePosition }) => queuePosition > 0).length === count);

describe("migrations that want to copy at once", () => {
  it("are held to the limits, in all and at each host, and all arrive", async () => {
    await opened(5, 20, { maxConcurrent: 3, maxConcurrentPerHost: 2 });
    for (let index = 0; index < 20; index += 1) await crowd.migrate(index, 1 + (index % 4));
    expect(await crowd.until(finished)).toBe(true);
    expect(crowd.most.total).toBe(3);
    expect(crowd.most.atHost).toBe(2);
  });

  it("without limits all copy at once", async () => {
    await opened(4, 8, { maxConcurrentPerHost: 0 });
    for (let index = 0; index < 8; index += 1) await crowd.migrate(index, 1);
    expect(await crowd.until(finished)).toBe(true);
    expect(crowd.most.total).toBe(8);
  });

  it("keep their order when the controller is restarted, and those under way go on", async () => {
    await opened(2, 6, { maxConcurrent: 1 });
    for (let index = 0; index < 6; index += 1) {
      await crowd.migrate(index, 1);
      crowd.clock.advance(1_000);
      await queued(index);
    }
    const before = await queue();
    expect(before).toHaveLength(5);
    const oldest = Math.min(...(await crowd.migrations.waiting()).map(({ queuedAtMs }) => queuedAtMs));
    expect((await crowd.migrations.waiting()).map(({ reason }) => reason)).toEqual(Array(5).fill("total"));
    expect(crowd.clock.nowMs() - oldest).toBeGreaterThan(3_000);
    expect(await crowd.restart()).toBe(6);
    expect(await queue()).toEqual(before);
    expect(await crowd.until(finished)).toBe(true);
    expect(crowd.most.total).toBe(1);
    const arrived = (await crowd.list()).toSorted((one, other) => one.updatedAtMs - other.updatedAtMs);
    expect(arrived.map(({ id }) => id).slice(1)).toEqual(before);
  });

  it("come earlier with a priority, also one that is given while they wait", async () => {
    await opened(2, 4, { maxConcurrent: 1 });
    const ids: string[] = [];
    for (const priority of [0, 0, 0, 2]) {
      ids.push(await crowd.migrate(ids.length, 1, priority));
      await queued(ids.length - 1);
    }
    const [, second = "", third = "", fourth = ""] = ids;
    expect(await queue()).toEqual([fourth, second, third]);
    await crowd.migrations.prioritise(third, 3, "user/bob");
    expect((await crowd.migrations.show(third)).actions).toMatchObject([
      { action: "migrate" },
      { action: "setMigration", requestedBy: "user/bob", message: "priority 3" },
    ]);
    expect(await queue()).toEqual([third, fourth, second]);
    await expect(crowd.migrations.prioritise(ids[0] ?? "", 1, "test")).rejects.toThrow(
      "does not wait for its turn",
    );
    await expect(crowd.migrations.prioritise(third, 11, "test")).rejects.toThrow("11 is no priority");
    expect(await crowd.until(finished)).toBe(true);
  });

  it("are cancelled in the queue without a word to their hosts", async () => {
    await opened(2, 3, { maxConcurrent: 1 });
    for (let index = 0; index < 3; index += 1) {
      await crowd.migrate(index, 1);
      await queued(index);
    }
    const [first = "", last = ""] = await queue();
    await crowd.migrations.cancel(first, "test");
    expect(await crowd.until(all => all.some(({ id, endedAtMs }) => id === first && endedAtMs > 0))).toBe(
      true,
    );
    const { steps } = await crowd.migrations.show(first);
    expect(steps.find(({ name }) => name === "prepare-target")?.state).toBe("pending");
    expect(await queue()).toEqual([last]);
    expect(await crowd.until(all => all.filter(({ status }) => status === "finished").length === 2)).toBe(
      true,
    );
  });
});
