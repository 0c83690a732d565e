/** A server arrives: what may start on a target, and when. */

import { describe, expect, it } from "vitest";
import { createTarget } from "../../../agent/verbs/create-target.js";
import { defineTarget } from "../../../agent/verbs/define-target.js";
import { prepareDisks } from "../../../agent/verbs/prepare-disks.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { receiveDisks } from "../../../agent/verbs/receive-disks.js";
import { releaseTarget } from "../../../agent/verbs/release-target.js";
import { withdrawTarget } from "../../../agent/verbs/withdraw-target.js";
import { ManifestFile, type SourceManifest, TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { type Host, SERVER, TARGET } from "./host.js";
import { fenceReceipt } from "./receipts.js";
import { unchanged, withTwoHosts } from "./two-hosts.js";

let source: Host;
let target: Host;
withTwoHosts((...made) => {
  [source, target] = made;
});

const noPlan = TargetPlan.fromPartial({});

async function prepare(manifest: SourceManifest = source.manifest()) {
  const { plan, refusals } = await prepareTarget(unchanged(manifest), target.call(), target.world);
  return { plan: plan ?? noPlan, refusals: refusals.map(({ message }) => message) };
}

async function define(): Promise<TargetPlan> {
  const { plan } = await prepare();
  await target.receive(plan);
  await defineTarget({ plan, copy: undefined }, target.call(), target.world);
  return plan;
}

const create = (receipt = fenceReceipt(source.world.tls), leaveOff = false) =>
  createTarget({ fenceReceipt: receipt, leaveOff }, target.call(), target.world);

describe("preparing a target", () => {
  it("plans every file, and has changed nothing but the journal", async () => {
    const { plan } = await prepare();
    expect(plan.files.map(({ path }) => path)).toEqual([target.at("images/web-3/disk")]);
    expect(target.guest).toMatchObject({ role: "incoming", incarnation: TARGET, migrationId: "m1" });
    expect(target.has("images/web-3")).toBe(false);
    expect(target.hypervisor.domains.size).toBe(0);
  });

  it("says everything that stands in the way at once", async () => {
    target.hookProblem = "hook not loaded";
    target.hypervisor.machineProblem = "no such machine";
    target.write("images/web-3/disk", "somebody's");
    const extra =
      '<interface type="network"><source network="lan"/><mac address="52:54:00:00:00:01"/></interface>';
    const { refusals } = await prepare(source.manifest({ domainXml: source.domainXml({ extra }) }));
    for (const reason of [/hook does not guard/, /no such machine/, /disk exists/, /no network lan/])
      expect(refusals).toContainEqual(expect.stringMatching(reason));
    expect(target.guest).toBeUndefined();
  });

  it("is refused where the guest would write into a log that is there already", async () => {
    const log = target.write("images/logs/web-3.log", "another guest's");
    const extra = `<serial type="file"><source path="${log}"/></serial>`;
    const { refusals } = await prepare(source.manifest({ domainXml: source.domainXml({ extra }) }));
    expect(refusals).toEqual([expect.stringMatching(/log .* exists on the target already/)]);
  });

  it.each([
    ["active", ""],
    ["fenced", "m0"],
    ["incoming", "m0"],
  ] as const)("is refused where the server is %s", async (role, migrationId) => {
    target.world.guests.update(SERVER, { role, migrationId, incarnation: "other" });
    expect((await prepare()).refusals).toContainEqual(
      expect.stringMatching(/has this server already: (active|fenced|incoming) \(migration/),
    );
    expect(target.guest).toMatchObject({ role, migrationId, incarnation: "other" });
  });
});

describe("defining a target", () => {
  it("is denied to start before it is defined", async () => {
    await define();
    expect(await target.verdict()).toMatchObject({ kind: "deny" });
    await expect(target.hypervisor.start(SERVER, { paused: false })).rejects.toThrow(/ferry: refused/);
  });

  it("needs a receipt for every file, copied or made", async () => {
    const { plan } = await prepare();
    await expect(defineTarget({ plan, copy: undefined }, target.call(), target.world)).rejects.toThrow(
      /no receipt for vda\/0/,
    );
    expect(target.hypervisor.domains.size).toBe(0);
  });

  it("does not take the place of a domain that somebody defined meanwhile", async () => {
    const { plan } = await prepare();
    await target.receive(plan);
    const foreign = source.domainXml({ incarnation: "" });
    await target.hypervisor.define(foreign);
    await expect(defineTarget({ plan, copy: undefined }, target.call(), target.world)).rejects.toThrow(
      /was defined on the target meanwhile/,
    );
    expect(target.hypervisor.domains.get(SERVER)?.xml).toBe(foreign);
  });
});

describe("creating a target", () => {
  it("is paused, and allowed from then on", async () => {
    await define();
    await create();
    expect(target.hypervisor.calls.at(-1)).toBe("start paused");
    expect(await target.verdict()).toEqual({ kind: "allow", incarnation: TARGET });
  });

  const wrong: [string, () => ReturnType<typeof fenceReceipt>][] = [
    ["that is a mirror", () => fenceReceipt(source.world.tls, { kind: "mirror" })],
    ["signed by the target itself", () => fenceReceipt(target.world.tls)],
    ["that speaks for another host", () => fenceReceipt(source.world.tls, { host: "h3" })],
    ["made for another host", () => fenceReceipt(source.world.tls, { peerHost: "h3" })],
    ["of another migration", () => fenceReceipt(source.world.tls, { migration: "m0" })],
    ["of another server", () => fenceReceipt(source.world.tls, { server: "s0" })],
    ["of an epoch before, which may have been revoked", () => fenceReceipt(source.world.tls, { epoch: 1 })],
    ["of an epoch after", () => fenceReceipt(source.world.tls, { epoch: 3 })],
    [
      "of an older incarnation",
      () => fenceReceipt(source.world.tls, { incarnation: `${SERVER}/m0/target/1` }),
    ],
    ["of the target's own incarnation", () => fenceReceipt(source.world.tls, { incarnation: TARGET })],
  ];
  it.each(wrong)("is refused with a receipt %s", async (_name, receipt) => {
    await define();
    await expect(create(receipt())).rejects.toThrow(/receipt/);
    expect(await target.verdict()).toMatchObject({ kind: "deny" });
    expect(target.hypervisor.domains.get(SERVER)?.state).toBe("shut-off");
  });

  it("is refused without a receipt", async () => {
    await define();
    const request = { fenceReceipt: undefined, leaveOff: false };
    await expect(createTarget(request, target.call(), target.world)).rejects.toThrow(
      /receipt of h1 is missing/,
    );
    expect(await target.verdict()).toMatchObject({ kind: "deny" });
  });

  it("is refused, and so is everything after it, once the target has given its word", async () => {
    const plan = await define();
    await withdrawTarget({ afterRun: false, peerHost: "h1" }, target.call(), target.world);
    const again = [
      create(),
      defineTarget({ plan, copy: undefined }, target.call(), target.world),
      releaseTarget({}, target.call(), target.world),
      prepareDisks({ plan, files: [] }, target.call(), target.world),
    ];
    for (const attempt of again) await expect(attempt).rejects.toThrow(/was withdrawn/);
    expect(await target.verdict()).toMatchObject({ kind: "deny" });
    expect(target.hypervisor.domains.size).toBe(0);
  });
});

describe("releasing a target", () => {
  it("is in the journal before the CPUs run", async () => {
    await define();
    await create();
    let known: boolean | undefined;
    target.hypervisor.before = async call => {
      if (call === "resume") known = target.guest?.mayHaveRun;
    };
    await releaseTarget({}, target.call(), target.world);
    expect(known).toBe(true);
    expect(target.hypervisor.domains.get(SERVER)?.state).toBe("running");
  });
});

describe("a target whose agent or host was gone for a moment", () => {
  it("answers the receipt that it has, when it died before the answer", async () => {
    const { plan } = await prepare();
    await target.receive(plan);
    const { copy } = await receiveDisks({ plan, sourceHost: "h1", files: [] }, target.call(), target.world);
    expect(copy?.files.map(({ id }) => id)).toEqual(["vda/0"]);
  });

  it("starts the guest that was created paused and is off since", async () => {
    await define();
    await create();
    await target.hypervisor.destroy(SERVER, { graceful: false });
    await releaseTarget({}, target.call(), target.world);
    expect(target.hypervisor.domains.get(SERVER)?.state).toBe("running");
    expect(target.guest?.mayHaveRun).toBe(true);
  });
});

describe("a swap disk made on the target", () => {
  const prepareSwap = async () => {
    const sizeBytes = 1024 * 1024;
    const uuid = "11111111-2222-4333-8444-555555555556";
    const swap = ManifestFile.fromPartial({
      id: "vdb/0",
      kind: "swap",
      mode: "re-created",
      path: source.at("images/web-3/swap"),
      relativePath: "web-3/swap",
      sizeBytes,
      swap: { sizeBytes, uuid, label: "swap", pageBytes: 4096 },
    });
    const { files } = source.manifest();
    return (await prepare(source.manifest({ files: [...files, swap] }))).plan;
  };
  const make = (plan: TargetPlan) => prepareDisks({ plan, files: [] }, target.call(), target.world);

  it("never takes the place of a file that came meanwhile, however often it is tried", async () => {
    const plan = await prepareSwap();
    target.write("images/web-3/swap", "somebody's");
    for (const _ of [1, 2, 3]) await expect(make(plan)).rejects.toThrow(/was not made by this migration/);
    expect(target.read("images/web-3/swap")).toBe("somebody's");
  });

  it("is found again by a repeated call, and begun anew after an interrupted one", async () => {
    const plan = await prepareSwap();
    target.write("images/web-3/swap.part-m1", "half");
    await make(plan);
    const made = target.world.artifacts.of(SERVER, "m1");
    await make(plan);
    expect(target.world.artifacts.of(SERVER, "m1")).toEqual(made);
    expect(target.has("images/web-3/swap.part-m1")).toBe(false);
  });
});
