/** The two measurements: one full decision at a time, and claims as fast as sixteen at a time can be made. */

import { claimForServer } from "../../controller/placement/placement.js";
import { resourcesOf } from "../../controller/placement/resources.js";
import { capacityOf } from "../../controller/placement/shortage.js";
import { refuseGroupBreach } from "../../controller/scheduler/group-claim.js";
import { HostStates } from "../../controller/scheduler/host-states.js";
import { Scheduler } from "../../controller/scheduler/scheduler.js";
import { DEFAULT_SCHEDULER_SETTINGS } from "../../controller/scheduler/settings.js";
import { deleteAllocations } from "../../controller/store/allocations.js";
import { generationsOfHosts } from "../../controller/store/hosts.js";
import { bookedInventories } from "../../controller/store/inventories.js";
import type { Store } from "../../controller/store/store.js";
import { Fault } from "../../proto/fault.js";
import { oneOf, type Random } from "./random.js";
import { wantedServer } from "./requests.js";

const ATTEMPTS = 3;
const WARM_UP = 16;

export interface Decisions {
  readonly milliseconds: readonly number[];
  /** Requests for which no host was found. */
  readonly refused: number;
}

/** Filters, weighers, alternates and the durable claim of the best host, one after the other. */
export async function measureDecisions(store: Store, count: number, random: Random): Promise<Decisions> {
  const { queries } = store;
  const hosts = new HostStates({ queries, stateOf: () => "up" });
  const scheduler = new Scheduler({ queries, hosts, settings: DEFAULT_SCHEDULER_SETTINGS, random });
  const milliseconds: number[] = [];
  let refused = 0;
  for (let index = 0; index < count + WARM_UP; index += 1) {
    const startedMs = performance.now();
    try {
      await decide(store, scheduler, index);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      refused += 1;
    }
    if (index >= WARM_UP) milliseconds.push(performance.now() - startedMs);
  }
  return { milliseconds, refused };
}

async function decide(store: Store, scheduler: Scheduler, index: number): Promise<void> {
  const wanted = wantedServer(index);
  const [best = ""] = await scheduler.select(wanted, ATTEMPTS);
  await store.transaction(async queries => {
    await refuseGroupBreach(queries, { id: wanted.serverId, serverGroup: wanted.serverGroup }, best);
    await claimForServer(queries, wanted.serverId, best, resourcesOf(wanted.flavor));
  });
}

const AT_A_TIME = 16;
const NEEDED = new Map([
  ["VCPU", 1],
  ["MEMORY_MB", 64],
  ["DISK_GB", 1],
]);

/** Claims on hosts at random, each a transaction of its own; a worker that is refused gives back what it has. */
export async function measureClaims(store: Store, forMs: number, random: Random): Promise<number> {
  const names = (await generationsOfHosts(store.queries)).map(({ name }) => name);
  const untilMs = performance.now() + forMs;
  let claims = 0;
  const work = async (worker: number) => {
    let held: string[] = [];
    for (let index = 0; performance.now() < untilMs; index += 1) {
      const consumer = `claim-${worker}-${index}`;
      try {
        const host = oneOf(names, random);
        await store.transaction(queries => claimForServer(queries, consumer, host, NEEDED));
        held.push(consumer);
        claims += 1;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        const given = held;
        held = [];
        await store.transaction(async queries => {
          for (const one of given) await deleteAllocations(queries, one);
        });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, (_, worker) => work(worker)));
  return claims;
}

/** Inventories of which more is booked than there is. */
export async function countOverbooked(store: Store): Promise<number> {
  const all = await bookedInventories(store.queries);
  return [...all.values()].flat().filter(inventory => inventory.used > capacityOf(inventory)).length;
}
