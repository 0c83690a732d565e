/**
 * Allocations are exactly what the servers and open migrations need: at every look while a migration goes on, and after
 * every outcome it can have. The flavor that is resized to books one of every kind of resource class.
 */

import { afterEach, describe, expect, it } from "vitest";
import { auditPlacement } from "../../controller/placement/audit.js";
import { resourcesOf } from "../../controller/placement/resources.js";
import { bookedInventories } from "../../controller/store/inventories.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { Datacenter, type Kind, LARGE, WEB } from "../simulation/datacenter.js";
import { closeUnharmed } from "./close-unharmed.js";

const OF_EVERYTHING = Flavor.fromPartial({
  ...LARGE,
  id: "everything",
  name: "m1.everything",
  extraSpecs: {
    "resources:PCPU": "1",
    "resources:CUSTOM_HUGEPAGES_2MB": "64",
    "resources:CUSTOM_PCI_NIC": "1",
  },
});

const KINDS: readonly Kind[] = ["migration", "resize", "same-host resize"];

type Outcome = "moved" | "taken back" | "gone";

interface Story {
  readonly outcome: Outcome;
  /** On the one host of a same-host resize there is nobody else to go to. */
  readonly needsOthers?: true;
  readonly tell: (center: Datacenter) => Promise<void>;
}

const refusal = { code: "refused", message: "no bridge br7", have: "", need: "", fix: "", host: "" };
const decide = { discardWrites: true, requestedBy: "test" };

async function move(center: Datacenter): Promise<void> {
  if (center.kind === "migration") {
    await center.migrate("");
    return;
  }
  await center.addFlavor(OF_EVERYTHING);
  await center.controller.migrations.resize({
    server: WEB,
    flavor: OF_EVERYTHING.name,
    requestedBy: "test",
  });
}

const failing =
  (verb: string): Story["tell"] =>
  async center => {
    center.agents.troubles.push({ verb, kind: "fail" });
    await move(center);
    expect(await center.ended()).toMatchObject({ status: "error" });
  };

/** Until this verb was asked for. */
const asked = (center: Datacenter, verb: string) =>
  center.passTime(() => center.agents.calls.some(call => call.includes(` ${verb} `)));

const STORIES: Readonly<Record<string, Story>> = {
  "is confirmed": {
    outcome: "moved",
    async tell(center) {
      await move(center);
      await center.rest();
      await center.controller.migrations.confirm(WEB, "test");
      await center.ended();
    },
  },
  "is reverted": {
    outcome: "taken back",
    async tell(center) {
      await move(center);
      await center.rest();
      await center.controller.migrations.revert(WEB, decide);
      await center.ended();
    },
  },
  "is refused by its first target and goes to the next": {
    outcome: "moved",
    needsOthers: true,
    async tell(center) {
      center.agents.agent("h2").refusals = [refusal];
      await move(center);
      await center.rest();
      await center.controller.migrations.confirm(WEB, "test");
      await center.ended();
    },
  },
  "is refused by every target": {
    outcome: "taken back",
    async tell(center) {
      for (const { host } of center.agents.agents.values())
        center.agents.agent(host.name).refusals = [refusal];
      await move(center);
      expect(await center.ended()).toMatchObject({ status: "error" });
    },
  },
  ...Object.fromEntries(
    ["fence_incarnation", "prepare_target", "prepare_disks", "define_target", "create_target"].map(verb => [
      `fails in ${verb}`,
      { outcome: "taken back", tell: failing(verb) } satisfies Story,
    ]),
  ),
  "is cancelled while it waits": {
    outcome: "taken back",
    async tell(center) {
      center.agents.troubles.push({ verb: "prepare_target", kind: "hang", times: 1 });
      await move(center);
      await asked(center, "prepare_target");
      await center.controller.migrations.cancel((await center.migration()).id, "test");
      await center.ended();
    },
  },
  "loses its controller on the way": {
    outcome: "moved",
    async tell(center) {
      center.agents.troubles.push({ verb: "define_target", kind: "hang", times: 1 });
      await move(center);
      await asked(center, "define_target");
      await center.controller.migrations.close();
      await center.restart();
      await center.rest();
      await center.controller.migrations.confirm(WEB, "test");
      await center.ended();
    },
  },
  "cannot be confirmed at first": {
    outcome: "moved",
    async tell(center) {
      await move(center);
      await center.rest();
      const guest = center.agents.agent(center.targetHost).journal.guest(WEB);
      guest.role = "fenced";
      await center.controller.migrations.confirm(WEB, "test");
      expect(await center.rest()).toMatchObject({ status: "stuck", step: "retire-source" });
      await expectExact(center);
      guest.role = "active";
      const { id } = await center.migration();
      await center.controller.migrations.recover(id, { planOnly: false, requestedBy: "test" });
      await center.ended();
    },
  },
  "is deleted in its verify window": {
    outcome: "gone",
    async tell(center) {
      await move(center);
      await center.rest();
      await center.controller.servers.deleteServer(WEB, "test", { noWait: true });
      await untilGone(center);
    },
  },
  "is deleted while it moves": {
    outcome: "gone",
    async tell(center) {
      center.agents.troubles.push({ verb: "define_target", kind: "hang", times: 1 });
      await move(center);
      await asked(center, "define_target");
      await center.controller.servers.deleteServer(WEB, "test", { noWait: true });
      await untilGone(center);
    },
  },
};

const untilGone = (center: Datacenter) =>
  center.passTime(async () =>
    center.server().then(
      () => false,
      () => true,
    ),
  );

/** By the audit's rules, and as amounts on each host. */
async function expectExact(center: Datacenter): Promise<void> {
  expect(await auditPlacement(center.store, { heal: false })).toEqual([]);
}

async function usage(center: Datacenter): Promise<Record<string, number>> {
  const booked = await bookedInventories(center.store.queries);
  const used = [...booked].flatMap(([host, inventories]) =>
    inventories
      .filter(inventory => inventory.used > 0)
      .map(one => [`${one.resourceClass} on ${host}`, one.used]),
  );
  return Object.fromEntries(used);
}

const needOf = (flavor: Flavor, host: string): Record<string, number> =>
  Object.fromEntries([...resourcesOf(flavor)].map(([name, amount]) => [`${name} on ${host}`, amount]));

let center: Datacenter;
afterEach(() => closeUnharmed(center));

describe.each(KINDS)("allocations are exact when a %s", kind => {
  const stories = Object.entries(STORIES).filter(
    ([, { needsOthers }]) => needsOthers === undefined || kind !== "same-host resize",
  );

  it.each(stories)("%s", async (_name, { outcome, tell }) => {
    center = await Datacenter.open({ kind });
    const before = await center.server();
    const [small, large] = [before.flavor ?? LARGE, kind === "migration" ? before.flavor : OF_EVERYTHING];
    center.beforeEachLook = () => expectExact(center);
    await tell(center);
    await expectExact(center);
    const expected = {
      moved: () => needOf(large ?? LARGE, movedTo),
      "taken back": () => needOf(small, "h1"),
      gone: () => ({}),
    };
    const movedTo = outcome === "moved" ? (await center.server()).host : "";
    expect(await usage(center)).toEqual(expected[outcome]());
    // A target that was asked for anything has given its word that nothing of it is left, or has the server.
    for (const { host, journal } of center.agents.agents.values())
      expect([host.name, [...journal.guests.values()].filter(({ role }) => role === "incoming")]).toEqual([
        host.name,
        [],
      ]);
  });
});
