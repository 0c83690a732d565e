/**
 * A resize on the server's own host, verb by verb: real files, real leases and locks, the real journal; the hypervisor is in
 * memory. Two incarnations share names, a row in the journal and a file of the hook, and are never mistaken for each other.
 */

import { readdirSync } from "node:fs";
import { rename, stat, truncate, utimes } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { attest } from "../../agent/attest.js";
import { cloneDisks } from "../../agent/verbs/clone-disks.js";
import { closeMigration } from "../../agent/verbs/close-migration.js";
import { createTarget } from "../../agent/verbs/create-target.js";
import { defineTarget } from "../../agent/verbs/define-target.js";
import { fenceIncarnation } from "../../agent/verbs/fence-incarnation.js";
import { preflightRevert } from "../../agent/verbs/preflight-revert.js";
import { prepareDisks } from "../../agent/verbs/prepare-disks.js";
import { prepareSource } from "../../agent/verbs/prepare-source.js";
import { prepareTarget } from "../../agent/verbs/prepare-target.js";
import { releaseTarget } from "../../agent/verbs/release-target.js";
import { removeTargetFiles } from "../../agent/verbs/remove-target-files.js";
import { retireSource } from "../../agent/verbs/retire-source.js";
import { unfenceIncarnation } from "../../agent/verbs/unfence-incarnation.js";
import { withdrawTarget } from "../../agent/verbs/withdraw-target.js";
import { type Receipt, TargetPlan } from "../../proto/gen/ferry/v1/agent.js";
import { Flavor } from "../../proto/gen/ferry/v1/model.js";
import { Certificates } from "../unit/proto/certificates.js";
import { Host, SERVER, SOURCE, TARGET } from "../unit/verbs/host.js";
import { files } from "./support/transfer-world.js";

let certificates: Certificates;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());

const DISK = "images/web-3/disk";
const LOG = "images/web-3/console.log";
const MIB = 1024 ** 2;
const LARGER = Flavor.fromPartial({ id: "large", vcpus: 2, ramMib: 2, rootGib: 1, swapMib: 1 });

let host: Host;
/** What the original is known by. */
let original: Awaited<ReturnType<typeof standing>>;

/** Content, identity and times of the server's disk, and what the host says of the server. */
async function standing() {
  const { ino, mtimeMs, size } = await stat(host.at(DISK));
  const { role, incarnation, disks } = host.guest ?? {};
  const domain = host.hypervisor.domains.get(SERVER)?.xml;
  return {
    ino,
    mtimeMs,
    size,
    content: host.read(DISK),
    log: host.read(LOG),
    role,
    incarnation,
    disks,
    domain,
  };
}

beforeEach(async () => {
  host = await Host.make("h1", certificates, { files });
  const extra = `<serial type="file"><source path="${host.at(LOG)}"/></serial>`;
  await host.settle({ xml: host.domainXml({ extra }) });
  await truncate(host.at(DISK), 3 * MIB);
  await utimes(host.at(DISK), 1_000, 1_000);
  host.write(LOG, "the source has booted");
  original = await standing();
});
afterEach(() => host[Symbol.dispose]());

const calls = (epoch = 2) => [host.call({ epoch }), host.world] as const;

/** The guest still runs. */
async function prepare(): Promise<TargetPlan> {
  const { manifest, refusals } = await prepareSource({ readOnlyDrives: "" }, ...calls());
  expect(refusals).toEqual([]);
  // The fake hypervisor has no CPU to compare.
  const facts = host.manifest().facts;
  const request = {
    manifest: manifest && { ...manifest, facts },
    sourceHost: "h1",
    networkMap: {},
    extraSpecs: {},
    crossCell: false,
    flavor: LARGER,
  };
  const answer = await prepareTarget(request, ...calls());
  expect(answer.refusals.map(({ message }) => message)).toEqual([]);
  return answer.plan ?? TargetPlan.fromPartial({});
}

async function fence(): Promise<Receipt | undefined> {
  await host.hypervisor.destroy(SERVER, { graceful: true });
  return (await fenceIncarnation({ stateHash: "", peerHost: "h1", sharedFiles: [] }, ...calls())).receipt;
}

async function define(plan: TargetPlan) {
  const { copy } = await cloneDisks({ plan, files: [] }, ...calls());
  const second = await prepareDisks({ plan, files: [] }, ...calls());
  await defineTarget({ plan, copy: undefined }, ...calls());
  return [...(copy?.files ?? []), ...(second.copy?.files ?? [])];
}

async function release(): Promise<TargetPlan> {
  const plan = await prepare();
  const fenceReceipt = await fence();
  await define(plan);
  await createTarget({ fenceReceipt, leaveOff: false }, ...calls());
  await releaseTarget({}, ...calls());
  host.write(LOG, "the target has booted");
  return plan;
}

/** As an unwinding does it, at the epoch after. */
async function takeBack(): Promise<void> {
  const { receipt } = await withdrawTarget({ afterRun: true, peerHost: "h1" }, ...calls(3));
  const order = { mirrorReceipt: receipt, start: false, peerHost: "h1", fencedHost: undefined };
  await unfenceIncarnation(order, ...calls(3));
  await removeTargetFiles({}, ...calls(3));
  await closeMigration({ outcome: "unwound" }, ...calls(3));
}

async function expectHome(): Promise<void> {
  expect(await standing()).toEqual(original);
  expect(await host.verdict()).toEqual({ kind: "allow", incarnation: SOURCE });
  expect(readdirSync(host.at("images/web-3")).sort()).toEqual(["console.log", "disk"]);
  expect(host.world.documents.list("claim")).toEqual([]);
}

describe("a resize on the server's own host", () => {
  it("changes nothing of the running source when it is prepared", async () => {
    const plan = await prepare();
    expect(plan.files.map(({ path, mode }) => [path, mode])).toEqual([
      [host.at(DISK), "copied"],
      [host.at(`${DISK}.swap`), "added"],
    ]);
    expect(await standing()).toEqual(original);
    expect(await host.verdict()).toEqual({ kind: "allow", incarnation: SOURCE });
  });

  it("runs the larger incarnation from disks of its own, and only that one", async () => {
    await release();
    expect(host.guest).toMatchObject({ role: "active", incarnation: TARGET, mayHaveRun: true });
    expect(await host.verdict()).toEqual({ kind: "allow", incarnation: TARGET });
    const [kept, grown] = [await stat(host.at(`${DISK}.fenced-m1`)), await stat(host.at(DISK))];
    expect([kept.ino, kept.size, grown.size]).toEqual([original.ino, original.size, 1024 * MIB]);
    expect(grown.ino).not.toBe(original.ino);
    expect(host.hypervisor.domains.get(SERVER)?.xml).toContain("<vcpu>2</vcpu>");
    expect(await attest(SERVER, host.world)).toMatchObject({ role: "active", filesPresent: true, drift: [] });
  });

  it("has a receipt for every disk, and says how each came about", async () => {
    const plan = await prepare();
    await fence();
    const lines = await define(plan);
    const copied = lines.find(({ id, changes }) => id === "vda/0" && changes.length === 0);
    const grown = lines.find(({ id, changes }) => id === "vda/0" && changes.length > 0);
    expect(["cloned", "copied"]).toContain(copied?.mode);
    expect(copied?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(grown?.changes[0]).toMatchObject({ tool: "ftruncate", digestBefore: copied?.digest });
    expect(lines.find(({ id }) => id === "vdb/0")?.mode).toBe("added");
  });

  it("leaves nothing of the originals once it is confirmed", async () => {
    await release();
    await retireSource({}, ...calls());
    await closeMigration({ outcome: "confirmed" }, ...calls());
    expect(readdirSync(host.at("images/web-3")).sort()).toEqual(["console.log", "disk", "disk.swap"]);
    expect(host.guest).toMatchObject({ role: "active", incarnation: TARGET, migrationId: "" });
    const made = host.world.artifacts.of(SERVER, "").map(({ path, kind }) => [path, kind]);
    expect(made).toContainEqual([host.at(`${DISK}.swap`), "created"]);
    expect(host.notes).toEqual([]);
  });

  it("is taken back bit for bit by a person who has seen the target run", async () => {
    await release();
    const { refusals } = await preflightRevert({}, ...calls());
    expect(refusals.map(({ message }) => message)).toEqual([]);
    await takeBack();
    await expectHome();
  });

  it("is not reverted over a file that somebody put in an original's place", async () => {
    await release();
    host.write("images/web-3/theirs", "somebody's");
    await rename(host.at("images/web-3/theirs"), host.at(DISK));
    const { refusals } = await preflightRevert({}, ...calls());
    expect(refusals[0]?.message).toMatch(/disk is taken by another file/);
  });

  const fenced = async (): Promise<TargetPlan> => {
    const plan = await prepare();
    await fence();
    return plan;
  };
  const moments: [string, () => Promise<unknown>][] = [
    ["prepared", prepare],
    ["fenced", fenced],
    ["copied", async () => cloneDisks({ plan: await fenced(), files: [] }, ...calls())],
    ["defined", async () => define(await fenced())],
  ];
  it.each(moments)("is taken back bit for bit once it is %s", async (_name, until) => {
    await until();
    await takeBack();
    await expectHome();
  });

  it("copies again what was being copied when the agent was killed, and knows its own from the original", async () => {
    const plan = await prepare();
    await fence();
    host.write(`${DISK}.part-m1`, "half of it");
    await cloneDisks({ plan, files: [] }, ...calls());
    const first = await stat(host.at(DISK));
    await cloneDisks({ plan, files: [] }, ...calls());
    expect((await stat(host.at(DISK))).ino).toBe(first.ino);
    expect(host.has(`${DISK}.part-m1`)).toBe(false);
    await takeBack();
    await expectHome();
  });

  it("is refused for the disks of another host, and before the source is fenced", async () => {
    const plan = await prepare();
    await expect(cloneDisks({ plan, files: [] }, ...calls())).rejects.toThrow(/source is not fenced/);
    expect(await standing()).toEqual(original);
  });
});
