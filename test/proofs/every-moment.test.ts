/**
 * The universal proofs, for every saga: whatever fails, whatever is said twice, whatever answer is lost, whenever the
 * controller dies, it ends as if nothing had happened or as if it had never been asked for; and never may two hosts run
 * the server.
 *
 *   sagas     migration · resize · same-host resize × confirmed · reverted · deleted in the verify window · confirmed by the clock
 *   mishaps   each step fails · every step is repeated · an answer is lost · the controller dies after any line, also while
 *             it takes back
 */

import { describe, expect, it } from "vitest";
import { AutoConfirm } from "../../controller/migration/auto-confirm.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { Datacenter, type Kind, LARGE, WEB } from "../simulation/datacenter.js";
import type { Trouble } from "../simulation/fake-agent.js";
import { Life } from "../simulation/mortal.js";
import { expectUnharmed } from "./close-unharmed.js";

const KINDS: readonly Kind[] = ["migration", "resize", "same-host resize"];

const beforeCrossing = (kind: Kind): string[] => [
  "prepare_source",
  "prepare_target",
  ...(kind === "same-host resize" ? [] : ["prove_storage", "probe_transfer"]),
  "stop_domain",
  "fence_incarnation",
  ...(kind === "same-host resize" ? ["clone_disks"] : ["receive_disks", "send_disks"]),
  "prepare_disks",
  "define_target",
  "create_target",
];
const toConfirm = (kind: Kind): string[] => [
  ...beforeCrossing(kind),
  "release_target",
  "retire_source",
  "close_migration",
];
const toRevert = (kind: Kind): string[] => [
  ...beforeCrossing(kind),
  "release_target",
  "withdraw_target",
  "unfence_incarnation",
  "start_domain",
  "remove_target_files",
  "close_migration",
];

/** A migration and its deletion write the same words to the target, and nothing to the source. */
const toDeletion = (kind: Kind): string[] => [...toConfirm(kind), "delete_domain"];

/** How the verify window ends: by a word of a person, or by the clock. */
type Ending = "confirm" | "revert" | "delete" | "auto-confirm";

/** Which of a migration's two sides the server has come to rest on, if it is still there. */
type Home = "source" | "target" | "nowhere";

const WINDOW_MS = 60_000;

async function withDatacenter(kind: Kind, body: (center: Datacenter) => Promise<void>): Promise<void> {
  const center = await Datacenter.open({ kind, settings: { autoConfirmAfterMs: WINDOW_MS } });
  try {
    await body(center);
    expectUnharmed(center);
  } finally {
    await center.close();
  }
}

/** A person who asks until it is done: moves it, decides, and asks again after the controller was gone. */
async function persist(center: Datacenter, ending: Ending): Promise<Migration> {
  const { migrations, servers } = center.controller;
  if ((await migrations.list()).length === 0) await center.move();
  const rested = await center.rest();
  if (rested.status === "finished") await decide(center, ending);
  const ended = await center.ended();
  if (ending === "delete" && ended.status === "confirmed")
    await center.passTime(async () => (await servers.list()).length === 0);
  return ended;
}

function decide({ controller: { deps, migrations, servers } }: Datacenter, ending: Ending): Promise<unknown> {
  if (ending === "confirm") return migrations.confirm(WEB, "test");
  if (ending === "delete") return servers.deleteServer(WEB, "test", { noWait: true });
  if (ending === "auto-confirm") return new AutoConfirm(deps, migrations).tick(WINDOW_MS);
  return migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
}

async function expectNothing(center: Datacenter): Promise<void> {
  expect(await center.controller.servers.list()).toEqual([]);
  expect(await center.allocations()).toEqual([]);
  for (const [name, { host }] of center.agents.agents)
    expect([name, host.files.size, host.domains.size]).toEqual([name, 0, 0]);
}

async function expectHome(center: Datacenter, home: Home): Promise<void> {
  if (home === "nowhere") return expectNothing(center);
  const host = home === "source" ? "h1" : center.targetHost;
  expect(await center.server()).toMatchObject({ host, status: "ACTIVE", taskState: "", migrationId: "" });
  expect(center.agents.agent(host).host.domains.get(WEB)?.state).toBe("RUNNING");
  expect(center.disksOn(host)).toEqual(center.originalDisks);
  const isLarge = center.kind !== "migration" && home === "target";
  expect(center.agents.agent(host).host.domains.get(WEB)?.vcpus).toBe(isLarge ? LARGE.vcpus : 1);
  expect((await center.server()).flavor?.vcpus).toBe(isLarge ? LARGE.vcpus : 1);
  expect(await center.allocations()).toEqual([
    `server on ${host}: DISK_GB ${isLarge ? 2 : 1}`,
    `server on ${host}: MEMORY_MB ${isLarge ? 1024 : 512}`,
    `server on ${host}: VCPU ${isLarge ? 2 : 1}`,
  ]);
  for (const [name, agent] of center.agents.agents) {
    const disks = name === host ? Object.keys(center.originalDisks).length : 0;
    expect([name, agent.host.files.size, agent.host.domains.size]).toEqual([
      name,
      disks,
      name === host ? 1 : 0,
    ]);
  }
}

async function withTrouble(kind: Kind, trouble: Trouble, ending: Ending, home: Home): Promise<void> {
  await withDatacenter(kind, async center => {
    center.agents.troubles.push(trouble);
    await persist(center, ending);
    await expectHome(center, home);
  });
}

describe.each(KINDS)(
  "a plain refusal of a %s before the target may run leaves everything as it was",
  kind => {
    it.each(beforeCrossing(kind))("of %s", verb =>
      withTrouble(kind, { verb, kind: "fail" }, "confirm", "source"),
    );
  },
);

describe.each(KINDS)("a lost answer changes nothing of a %s but the duration", kind => {
  it.each(toConfirm(kind))("of %s, on the way to confirmed", verb =>
    withTrouble(kind, { verb, kind: "lose", times: 1 }, "confirm", "target"),
  );
  it.each(toRevert(kind))("of %s, on the way to reverted", verb =>
    withTrouble(kind, { verb, kind: "lose", times: 1 }, "revert", "source"),
  );
  it.each(toDeletion(kind))("of %s, on the way to deleted", verb =>
    withTrouble(kind, { verb, kind: "lose", times: 1 }, "delete", "nowhere"),
  );
  it.each(["retire_source", "close_migration"])("of %s, when the clock confirms", verb =>
    withTrouble(kind, { verb, kind: "lose", times: 1 }, "auto-confirm", "target"),
  );
});

/** What may fail once there is no other way any more: then a person is asked for, and nothing is given up. */
const ONE_WAY: readonly (readonly [verb: string, ending: Ending, home: Home])[] = [
  ["release_target", "confirm", "target"],
  ["retire_source", "confirm", "target"],
  ["retire_source", "auto-confirm", "target"],
  ["retire_source", "delete", "nowhere"],
  ["close_migration", "confirm", "target"],
  ["close_migration", "auto-confirm", "target"],
  ["close_migration", "delete", "nowhere"],
  ["withdraw_target", "revert", "source"],
  ["unfence_incarnation", "revert", "source"],
  ["start_domain", "revert", "source"],
  ["remove_target_files", "revert", "source"],
  ["close_migration", "revert", "source"],
];

describe.each(KINDS)(
  "a refusal of a %s where there is one way only is stuck until a person has looked",
  kind => {
    it.each(ONE_WAY)("of %s, before it is to %s", (verb, ending, home) =>
      withDatacenter(kind, async center => {
        center.agents.troubles.push({ verb, kind: "fail", times: 1 });
        await persistPast(center, ending);
        await expectHome(center, home);
      }),
    );
  },
);

/** The same person, who also looks at what is stuck and lets it go on. */
async function persistPast(center: Datacenter, ending: Ending): Promise<void> {
  const isStuck = async () => (await center.migration()).status === "stuck";
  const person = persist(center, ending);
  await center.passTime(async () => (await isStuck()) || (await center.migration()).endedAtMs > 0);
  if (await isStuck()) {
    const { id } = await center.migration();
    await center.controller.migrations.recover(id, { planOnly: false, requestedBy: "test" });
  }
  await person;
}

describe.each(KINDS)(
  "every request of a %s arrives again after each later one, and changes nothing",
  kind => {
    it.each([
      ["confirm", "target"],
      ["revert", "source"],
      ["delete", "nowhere"],
      ["auto-confirm", "target"],
    ] as const)("when it is to %s", (ending, home) =>
      withDatacenter(kind, async center => {
        center.agents.echoes = true;
        await persist(center, ending);
        await expectHome(center, home);
      }),
    );
  },
);

describe.each(KINDS)("an answer that never comes is asked for again, for a %s", kind => {
  it.each(["retire_source", "close_migration"])("of %s, on the way to confirmed", verb =>
    withTrouble(kind, { verb, kind: "hang", times: 1 }, "confirm", "target"),
  );
  it.each(["withdraw_target", "unfence_incarnation", "start_domain"])("of %s, on the way to reverted", verb =>
    withTrouble(kind, { verb, kind: "hang", times: 1 }, "revert", "source"),
  );
});

interface Scenario {
  readonly name: string;
  readonly ending: Ending;
  readonly home: Home;
  readonly troubles: () => Trouble[];
}

const SCENARIOS: readonly Scenario[] = [
  { name: "confirmed", ending: "confirm", home: "target", troubles: () => [] },
  { name: "reverted", ending: "revert", home: "source", troubles: () => [] },
  { name: "deleted in its verify window", ending: "delete", home: "nowhere", troubles: () => [] },
  { name: "confirmed by the clock", ending: "auto-confirm", home: "target", troubles: () => [] },
  {
    name: "taken back after a failed copy",
    ending: "confirm",
    home: "source",
    troubles: () => ["receive_disks", "clone_disks"].map(verb => ({ verb, kind: "fail" })),
  },
];

/** Lives until `diesAt`, is restarted once, and must come to the same end. Answers how many moments it had. */
async function dieAt(kind: Kind, diesAt: number, { ending, home, troubles }: Scenario): Promise<number> {
  const life = new Life(diesAt);
  await withDatacenter(kind, async center => {
    center.agents.troubles.push(...troubles());
    let isDone = false;
    // It may die while it starts.
    const living = center.restart(life).then(() => persist(center, ending));
    void living.finally(() => {
      isDone = true;
    });
    await center.clock.until(() => isDone || life.isOver);
    if (life.isOver) {
      await center.restart();
      await persist(center, ending);
    }
    await expectHome(center, home);
  });
  return life.moments;
}

const OF_EVERY_KIND = KINDS.flatMap(kind =>
  SCENARIOS.map(scenario => ({ kind, name: scenario.name, scenario })),
);

describe.each(OF_EVERY_KIND)("a $kind that is to be $name", ({ kind, scenario }) => {
  it("comes to the same end whenever the controller dies", { timeout: 60_000 }, async () => {
    const moments = await dieAt(kind, Number.POSITIVE_INFINITY, scenario);
    expect(moments).toBeGreaterThan(35);
    for (let diesAt = 1; diesAt <= moments; diesAt += 1) {
      await dieAt(kind, diesAt, scenario).catch((error: unknown) => {
        throw new Error(`died at moment ${diesAt} of ${moments}`, { cause: error });
      });
    }
  });
});
