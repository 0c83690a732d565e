/** What two schedulers on one store remember of the hosts, against one that remembers nothing, after whatever happened. */

import { type Arbitrary, array, assert, asyncProperty, constantFrom, nat, record } from "fast-check";
import { expect, it } from "vitest";
import { Aggregates } from "../../../controller/fleet/aggregates.js";
import { Fleet } from "../../../controller/fleet/fleet.js";
import { beginMove, claimForServer, finishMove, undoMove } from "../../../controller/placement/placement.js";
import { HostStates } from "../../../controller/scheduler/host-states.js";
import type { Store } from "../../../controller/store/store.js";
import { HeartbeatRequest } from "../../../proto/gen/ferry/v1/controller.js";
import { Inventory } from "../../../proto/gen/ferry/v1/model.js";
import { VirtualClock } from "../../simulation/virtual-clock.js";
import { isOnPostgres, openFreshStore } from "../../store-under-test.js";

const HOSTS = ["h1", "h2", "h3"];
const NEEDED = new Map([["VCPU", 1]]);

const KINDS = [
  "beat",
  "claim",
  "move",
  "undo",
  "finish",
  "disable",
  "enable",
  "trait",
  "zone",
  "metadata",
  "look",
] as const;

interface Event {
  readonly kind: (typeof KINDS)[number];
  readonly host: string;
  readonly number: number;
}

const event: Arbitrary<Event> = record({
  kind: constantFrom(...KINDS),
  host: constantFrom(...HOSTS),
  number: nat(3),
});

class World {
  readonly #store: Store;
  readonly #fleet: Fleet;
  readonly #aggregates: Aggregates;
  readonly schedulers: readonly HostStates[];

  constructor(store: Store) {
    let ids = 0;
    const clock = new VirtualClock();
    this.#store = store;
    this.#fleet = new Fleet({ store, clock });
    const isAvailable = (host: string) => this.#fleet.isAvailable(host);
    this.#aggregates = new Aggregates({ store, clock, newId: () => `id-${++ids}`, isAvailable });
    this.schedulers = [this.newcomer(), this.newcomer()];
  }

  newcomer = (): HostStates => new HostStates({ queries: this.#store.queries, stateOf: () => "up" });

  async happen({ kind, host, number }: Event): Promise<void> {
    const [serverId, migrationId] = [`s${number}`, `m${number}`];
    const write: Parameters<Store["transaction"]>[0] | undefined = {
      claim: (tx: Store["queries"]) => claimForServer(tx, serverId, host, NEEDED),
      move: (tx: Store["queries"]) => beginMove(tx, { serverId, migrationId, target: host, needed: NEEDED }),
      undo: (tx: Store["queries"]) => undoMove(tx, serverId, migrationId),
      finish: (tx: Store["queries"]) => finishMove(tx, migrationId),
    }[kind as string];
    if (write !== undefined) await this.#store.transaction(write);
    if (kind === "beat") await this.#fleet.heartbeat(beatOf(host, number));
    if (kind === "disable") await this.#fleet.setStatus(host, false, `reason ${number}`);
    if (kind === "enable") await this.#fleet.setStatus(host, true);
    if (kind === "trait") await this.#fleet.changeTraits(host, [`CUSTOM_T${number}`], []);
    if (kind === "zone") await this.#aggregates.setZone(host, number === 0 ? "" : `zone-${number}`);
    if (kind === "metadata") await this.#aggregates.setMetadata(`zone-${number}`, { rack: host }, []);
    if (kind === "look") await this.schedulers[number % 2]?.read();
  }
}

const beatOf = (host: string, number: number) =>
  HeartbeatRequest.fromPartial({
    host,
    installId: host,
    hookProblem: number === 3 ? "not proven" : "",
    inventories: [Inventory.fromPartial({ resourceClass: "VCPU", total: 2 + number, allocationRatio: 1 })],
  });

it("what schedulers remember of hosts is what one that has just started reads", async () => {
  await assert(
    asyncProperty(array(event, { minLength: 1, maxLength: 24 }), async events => {
      const store = await openFreshStore();
      try {
        const world = new World(store);
        // What is refused changes nothing, which is as good a case.
        for (const one of events) await world.happen(one).catch(() => undefined);
        const fresh = await world.newcomer().read();
        for (const scheduler of world.schedulers) expect(await scheduler.read()).toEqual(fresh);
      } finally {
        await store.close();
      }
    }),
    { numRuns: isOnPostgres() ? 3 : 100 },
  );
});
