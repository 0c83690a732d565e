/** Numbers of what happened: in the order in which it did, without gaps, also where many write at once. */

import { afterEach, beforeEach, expect, it } from "vitest";
import {
  insertNotification,
  type Notification,
  numberNotifications,
  numbersOf,
  readNotifications,
} from "../../../controller/store/notifications.js";
import type { Store } from "../../../controller/store/store.js";
import { openFreshStore } from "../../store-under-test.js";

let store: Store;
beforeEach(async () => {
  store = await openFreshStore();
});
afterEach(() => store.close());

const notification = (id: string, atMs: number): Notification => ({
  id,
  atMs,
  owner: "user/ada",
  type: id,
  serverId: "s",
  serverName: "web",
  project: "",
  serverStatus: "",
  migrationId: "",
  host: "",
  requestId: "",
  message: "",
  fault: undefined,
});
const write = (id: string, atMs: number) =>
  store.transaction(queries => insertNotification(queries, notification(id, atMs)));
const read = async () => {
  const range = { after: 0, upTo: 1_000, limit: 1_000, from: "oldest" } as const;
  return (await readNotifications(store.queries, {}, range)).map(({ number, type }) => `${number} ${type}`);
};

it("of one subject the order holds although the clock stepped back before they were numbered", async () => {
  await write("m/1", 100);
  await write("n/1", 60);
  await write("m/2", 50);
  await numberNotifications(store, 100);
  expect((await read()).map(line => line.slice(2)).filter(id => id.startsWith("m"))).toEqual(["m/1", "m/2"]);
});

it("what is written later never gets a number before what was read already", async () => {
  await write("m/1", 100);
  await numberNotifications(store, 100);
  await write("n/1", 1);
  await numberNotifications(store, 100);
  expect(await read()).toEqual(["1 m/1", "2 n/1"]);
});

it("there are no gaps and no doubles although many write and number at once", async () => {
  const ids = Array.from({ length: 40 }, (_, index) => `s${index % 8}/${String(index).padStart(3, "0")}`);
  await Promise.all([
    ...ids.map((id, index) => write(id, index)),
    ...[1, 2, 3].map(() => numberNotifications(store, 100)),
  ]);
  await numberNotifications(store, 100);
  expect((await read()).map(line => Number(line.split(" ")[0]))).toEqual(ids.map((_, index) => index + 1));
});

it("only the newest are kept, and the same one is told once", async () => {
  for (let index = 1; index <= 9; index += 1) await write(`m/${index}`, index);
  await write("m/9", 10);
  await numberNotifications(store, 4);
  expect(await numbersOf(store.queries)).toEqual({ oldest: 6, newest: 9 });
  expect(await read()).toEqual(["6 m/6", "7 m/7", "8 m/8", "9 m/9"]);
});
