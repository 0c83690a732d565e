/**
 * The universal proofs: whatever fails, whatever answer is lost, whenever the controller dies, a migration ends as
 * if nothing had happened or as if it had never been asked for; and never may two hosts run the server.
 */

import { describe, expect, it } from "vitest";
import type { Verdict } from "../../controller/saga/journal-line.js";
import type { Migration } from "../../proto/gen/ferry/v1/model.js";
import { Datacenter, type Kind, LARGE, WEB } from "../simulation/datacenter.js";
import type { Trouble } from "../simulation/fake-agent.js";
import { Life } from "../simulation/mortal.js";

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

/** Which of a migration's two sides the server has come to rest on. */
type Home = "source" | "target";

async function withDatacenter(kind: Kind, body: (center: Datacenter) => Promise<void>): Promise<void> {
  const center = await Datacenter.open({ kind });
  try {
    await body(center);
    expect(center.breaches).toEqual([]);
    expect(center.bugs).toEqual([]);
  } finally {
    await center.close();
  }
}

/** A person who asks until it is done: moves it, decides, and asks again after the controller was gone. */
async function persist(center: Datacenter, verdict: Verdict): Promise<Migration> {
  const { migrations } = center.controller;
  if ((await migrations.list()).length === 0) await center.move();
  const rested = await center.rest();
  if (rested.status === "finished") await decide(center, verdict);
  return center.ended();
}

function decide(center: Datacenter, verdict: Verdict): Promise<unknown> {
  const { migrations } = center.controller;
  if (verdict === "confirm") return migrations.confirm(WEB, "test");
  return migrations.revert(WEB, { discardWrites: true, requestedBy: "test" });
}

async function expectHome(center: Datacenter, home: Home): Promise<void> {
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

async function withTrouble(kind: Kind, trouble: Trouble, verdict: Verdict, home: Home): Promise<void> {
  await withDatacenter(kind, async center => {
    center.agents.troubles.push(trouble);
    await persist(center, verdict);
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
});

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
  readonly verdict: Verdict;
  readonly home: Home;
  readonly troubles: () => Trouble[];
}

const SCENARIOS: readonly Scenario[] = [
  { name: "confirmed", verdict: "confirm", home: "target", troubles: () => [] },
  { name: "reverted", verdict: "revert", home: "source", troubles: () => [] },
  {
    name: "taken back after a failed copy",
    verdict: "confirm",
    home: "source",
    troubles: () => ["receive_disks", "clone_disks"].map(verb => ({ verb, kind: "fail" })),
  },
];

/** Lives until `diesAt`, is restarted once, and must come to the same end. Answers how many moments it had. */
async function dieAt(kind: Kind, diesAt: number, { verdict, home, troubles }: Scenario): Promise<number> {
  const life = new Life(diesAt);
  await withDatacenter(kind, async center => {
    center.agents.troubles.push(...troubles());
    let isDone = false;
    // It may die while it starts.
    const living = center.restart(life).then(() => persist(center, verdict));
    void living.finally(() => {
      isDone = true;
    });
    await center.clock.until(() => isDone || life.isOver);
    if (life.isOver) {
      await center.restart();
      await persist(center, verdict);
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
