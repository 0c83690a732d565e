/** Terminates worker threads with calls and events in flight; the main thread must go on getting its own. */

import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const [file, rounds] = isMainThread ? [process.argv[2], Number(process.argv[3])] : workerData;
const load = () => {
  const virt = createRequire(import.meta.url)(file);
  virt.init(Error);
  return virt;
};

async function beBusy() {
  const virt = load();
  const connect = await virt.open("test:///default", 0);
  await connect.onLifecycle(() => undefined);
  const domain = await connect.lookupByName("test");
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port is no window
  parentPort.postMessage("busy");
  virt.block(300);
  for (;;) await Promise.all([domain.getState(), domain.getInfo(), connect.listAllDomains(0)]);
}

async function storm() {
  // The first to load the addon is a worker that dies.
  await withWorkers(1, async () => undefined);
  const virt = load();
  const connect = await virt.open("test:///default", 0);
  const events = [];
  await connect.onLifecycle(({ event }) => events.push(event));
  const domain = await connect.lookupByName("test");
  for (let round = 0; round < rounds; round++) {
    await withWorkers(3, async () => {
      await domain.destroy(0);
      await domain.create(0);
      await delay(10);
    });
  }
  for (const end = Date.now() + 20_000; events.length < 2 * rounds && Date.now() < end; ) await delay(5);
  await connect.close();
  if (events.length !== 2 * rounds) throw new Error(`${events.length} events instead of ${2 * rounds}`);
  process.stdout.write("storm over\n");
}

async function withWorkers(count, act) {
  const workers = Array.from(
    { length: count },
    () => new Worker(import.meta.filename, { workerData: [file, rounds] }),
  );
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once("message", resolve))));
  await act();
  await Promise.all(workers.map(worker => worker.terminate()));
}

await (isMainThread ? storm() : beBusy());
