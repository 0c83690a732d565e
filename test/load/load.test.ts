/**
 * `npm run load`: 200 migrations asked for at once, over 10 fake hosts. All arrive, whoever watches sees each to its end, nobody
 * is left waiting behind the others, and what the controller holds does not grow. Prints its figures.
 */

import { afterEach, expect, it } from "vitest";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { Crowd } from "./crowd.js";

const [HOSTS, SERVERS, COPY_MS] = [10, 200, 10_000];
const LIMIT_MS = 300_000;

let crowd: Crowd;
afterEach(() => crowd.close());

const finished = (all: readonly Migration[]) => all.every(({ status }) => status === "finished");
const heapMib = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1024 ** 2;
};

async function askAll(): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < SERVERS; index += 1)
    ids.push(await crowd.migrate(index, 1 + (index % (HOSTS - 1)), (index % 3) - 1));
  return ids;
}

it("200 migrations over 10 hosts all arrive, and nobody's stream ends early", {
  timeout: LIMIT_MS,
}, async () => {
  crowd = await Crowd.open({
    hosts: HOSTS,
    servers: SERVERS,
    settings: { maxConcurrentPerHost: 2 },
    copyMs: COPY_MS,
  });
  const [beforeMib, startedMs] = [heapMib(), crowd.clock.monotonicMs()];
  const processor = process.cpuUsage();
  const ids = await askAll();
  const stop = new AbortController();
  const ends = ids.map(async id => {
    let last = "";
    const signal = stop.signal;
    for await (const { migration } of crowd.migrations.watch(id, { signal, untilEnded: false }))
      last = migration.status;
    return last;
  });
  expect(await crowd.until(finished)).toBe(true);
  expect(new Set(await Promise.all(ends))).toEqual(new Set(["finished"]));
  expect(crowd.most.atHost).toBe(2);
  expect(crowd.bugs).toEqual([]);
  const { user, system } = process.cpuUsage(processor);
  const waits = (await crowd.list()).map(({ updatedAtMs, createdAtMs }) => updatedAtMs - createdAtMs);
  const tookS = (crowd.clock.monotonicMs() - startedMs) / 1000;
  const figures = {
    migrations: SERVERS,
    virtualSeconds: tookS,
    longestWaitSeconds: Math.max(...waits) / 1000,
    mostAtOnce: crowd.most.total,
    processorMsEach: Number(((user + system) / 1000 / SERVERS).toFixed(1)),
    heapGrewMib: Number((heapMib() - beforeMib).toFixed(1)),
  };
  process.stdout.write(`load: ${JSON.stringify(figures)}\n`);
  // Twenty hosts' places are two by two a migration's: ten at a time at best, and patience costs some of that.
  expect(tookS).toBeLessThan(3 * (SERVERS / HOSTS) * (COPY_MS / 1000));
});

it("a controller that is restarted with 200 open migrations goes on with all of them", {
  timeout: LIMIT_MS,
}, async () => {
  crowd = await Crowd.open({ hosts: HOSTS, servers: SERVERS, copyMs: COPY_MS });
  await askAll();
  expect(await crowd.until(all => all.some(({ status }) => status === "finished"))).toBe(true);
  const open = (await crowd.list()).filter(({ status }) => status !== "finished").length;
  const adopted = await crowd.restart();
  expect(adopted).toBe(SERVERS);
  expect(await crowd.until(finished)).toBe(true);
  expect(crowd.bugs).toEqual([]);
  process.stdout.write(
    `load: restarted with ${open} of ${SERVERS} on their way, ${adopted} taken up, all finished\n`,
  );
});
