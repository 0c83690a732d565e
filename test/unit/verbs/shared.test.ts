/** A disk on storage that both hosts have: proven from both sides, and then neither moved, copied, changed nor removed. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { factsAt } from "../../../agent/disk/file-identity.js";
import { closeMigration } from "../../../agent/verbs/close-migration.js";
import { createTarget } from "../../../agent/verbs/create-target.js";
import { defineTarget } from "../../../agent/verbs/define-target.js";
import { deleteDomain } from "../../../agent/verbs/delete-domain.js";
import { checkHost } from "../../../agent/verbs/examine-target.js";
import { fenceIncarnation } from "../../../agent/verbs/fence-incarnation.js";
import { preflightRevert } from "../../../agent/verbs/preflight-revert.js";
import { prepareSource } from "../../../agent/verbs/prepare-source.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { proveStorage } from "../../../agent/verbs/prove-storage.js";
import { receiveDisks } from "../../../agent/verbs/receive-disks.js";
import { releaseTarget } from "../../../agent/verbs/release-target.js";
import { removeTargetFiles } from "../../../agent/verbs/remove-target-files.js";
import { retireSource } from "../../../agent/verbs/retire-source.js";
import { sendDisks } from "../../../agent/verbs/send-disks.js";
import { unfenceIncarnation } from "../../../agent/verbs/unfence-incarnation.js";
import { withdrawTarget } from "../../../agent/verbs/withdraw-target.js";
import { type SourceManifest, TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { Flavor } from "../../../proto/gen/ferry/v1/model.js";
import { Certificates } from "../proto/certificates.js";
import { Host, SERVER, SOURCE, TARGET } from "./host.js";

let certificates: Certificates;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());

let shared: string;
let disk: string;
let source: Host;
let target: Host;
let inode: number;

beforeEach(async () => {
  shared = mkdtempSync(join(tmpdir(), "ferry-shared-"));
  disk = join(shared, "web-3.raw");
  writeFileSync(disk, "what the guest has written ".repeat(1000));
  inode = statSync(disk).ino;
  source = await Host.make("h1", certificates, { shared });
  target = await Host.make("h2", certificates, { shared });
  await source.settle({ xml: source.domainXml().replace(source.at("images/web-3/disk"), disk) });
});
afterEach(() => {
  source[Symbol.dispose]();
  target[Symbol.dispose]();
  rmSync(shared, { recursive: true });
});

const atSource = (epoch = 2) => [source.call({ epoch }), source.world] as const;
const atTarget = (epoch = 2) => [target.call({ epoch }), target.world] as const;
const nonces = () => readdirSync(shared).filter(name => name.startsWith(".ferry"));
const words = (refusals: readonly { readonly message: string }[]) => refusals.map(({ message }) => message);

async function describeIt(): Promise<SourceManifest> {
  const { manifest, refusals } = await prepareSource({ readOnlyDrives: "" }, ...atSource());
  expect(refusals).toEqual([]);
  if (manifest === undefined) throw new Error("no manifest");
  // The fake hypervisor has no CPU to compare.
  return { ...manifest, facts: source.manifest().facts };
}

async function plan(manifest: SourceManifest, flavor?: Flavor) {
  const request = { manifest, sourceHost: "h1", networkMap: {}, flavor, extraSpecs: {}, crossCell: false };
  const answer = await prepareTarget(request, ...atTarget());
  return { plan: answer.plan ?? TargetPlan.fromPartial({}), refusals: answer.refusals };
}

const prove = (proposed: TargetPlan) => proveStorage({ plan: proposed, targetHost: "h2" }, ...atSource());
const fence = (sharedFiles = ["vda/0"]) =>
  fenceIncarnation({ stateHash: "", peerHost: "h2", sharedFiles }, ...atSource());

async function prepare(): Promise<TargetPlan> {
  const { plan: proposed, refusals } = await plan(await describeIt());
  expect(words(refusals)).toEqual([]);
  expect(words((await prove(proposed)).refusals)).toEqual([]);
  return proposed;
}

async function release(): Promise<void> {
  const proposed = await prepare();
  await source.hypervisor.destroy(SERVER, { graceful: true });
  const { receipt: fenceReceipt } = await fence();
  await sendDisks({ plan: proposed, targetHost: "h2" }, ...atSource());
  const { copy } = await receiveDisks({ plan: proposed, sourceHost: "h1", files: [] }, ...atTarget());
  expect(copy?.files.map(({ id, mode }) => [id, mode])).toEqual([["vda/0", "shared"]]);
  await defineTarget({ plan: proposed, copy }, ...atTarget());
  await createTarget({ fenceReceipt, leaveOff: false }, ...atTarget());
  await releaseTarget({}, ...atTarget());
}

const expectUntouched = () => {
  expect(readdirSync(shared)).toEqual(["web-3.raw"]);
  expect(statSync(disk).ino).toBe(inode);
};

describe("a disk on shared storage", () => {
  it("is proven so by both hosts, and planned to stay where it is", async () => {
    const proposed = await prepare();
    expect(proposed.files).toMatchObject([{ id: "vda/0", path: disk, mode: "shared" }]);
    expect(proposed.disks).toMatchObject([{ path: disk, mode: "shared" }]);
    expect(nonces()).toEqual([".ferry-nonce-m1-source", ".ferry-nonce-m1-target"]);
  });

  it("serves the target under its own name, and stays when the source is retired", async () => {
    await release();
    expectUntouched();
    await retireSource({}, ...atSource());
    for (const side of [atTarget(), atSource()]) await closeMigration({ outcome: "confirmed" }, ...side);
    expectUntouched();
    expect(target.guest).toMatchObject({ role: "active", incarnation: TARGET });
    expect(await source.verdict()).toMatchObject({ kind: "deny" });
  });

  it("keeps what the target wrote when a person reverts", async () => {
    await release();
    writeFileSync(disk, "written on the target", { flag: "a" });
    expect(words((await preflightRevert({}, ...atSource())).refusals)).toEqual([]);
    const { receipt } = await withdrawTarget({ afterRun: true, peerHost: "h1" }, ...atTarget(3));
    await unfenceIncarnation(
      { mirrorReceipt: receipt, start: false, peerHost: "h2", fencedHost: undefined },
      ...atSource(3),
    );
    await removeTargetFiles({}, ...atTarget(3));
    for (const side of [atTarget(3), atSource(3)]) await closeMigration({ outcome: "reverted" }, ...side);
    expectUntouched();
    expect(readFileSync(disk, "utf8")).toMatch(/written on the target$/);
    expect(await source.verdict()).toEqual({ kind: "allow", incarnation: SOURCE });
  });

  it("is in the care of the host that has the server, and goes with it when Ferry made it", async () => {
    const made = { serverId: SERVER, migrationId: "", path: disk, kind: "created" } as const;
    source.world.artifacts.record({ ...made, identity: await factsAt(source.world.files, disk) });
    await release();
    await retireSource({}, ...atSource());
    for (const side of [atTarget(), atSource()]) await closeMigration({ outcome: "confirmed" }, ...side);
    expect(source.world.artifacts.of(SERVER, "")).toEqual([]);
    await deleteDomain({}, target.call({ epoch: 3, migrationId: "" }), target.world);
    expect(readdirSync(shared)).toEqual([]);
  });

  it("leaves no trace of a migration that was refused", async () => {
    await prepare();
    await withdrawTarget({ afterRun: false, peerHost: "h1" }, ...atTarget(3));
    await removeTargetFiles({}, ...atTarget(3));
    for (const side of [atTarget(3), atSource(3)]) await closeMigration({ outcome: "unwound" }, ...side);
    expectUntouched();
    expect(source.guest).toMatchObject({ role: "active" });
  });

  it("is not resized on the way to another host", async () => {
    const { refusals } = await plan(
      await describeIt(),
      Flavor.fromPartial({ id: "f", vcpus: 1, ramMib: 1, rootGib: 1 }),
    );
    expect(words(refusals)).toEqual([expect.stringMatching(/lies on storage that both hosts have/)]);
  });

  it("is recognised by a check, which writes nothing", async () => {
    const described = await describeIt();
    await closeMigration({ outcome: "unwound" }, ...atSource());
    const folders = described.folders.map(folder => ({ ...folder, nonceName: "", nonce: Buffer.alloc(0) }));
    const request = {
      manifest: { ...described, folders },
      sourceHost: "h1",
      networkMap: {},
      flavor: undefined,
      extraSpecs: {},
      crossCell: false,
    };
    const results = await checkHost(request, target.call({ migrationId: "check-1" }), target.world);
    expect(results.find(({ name }) => name === "files")).toMatchObject({ outcome: "ok" });
    expect(nonces()).toEqual([]);
  });
});

describe("storage of which it is not known whether both hosts have it", () => {
  const elsewhere = (manifest: SourceManifest, fileSystem: string): SourceManifest => ({
    ...manifest,
    folders: manifest.folders.map(folder => ({ ...folder, fileSystem, nonce: Buffer.alloc(0) })),
  });

  it.each(["nfs4", "fuse.sshfs", "ceph", "ocfs2", "virtiofs", "something-new", ""])(
    "refuses when the target does not see what the source wrote on %j",
    async fileSystem => {
      const { refusals } = await plan(elsewhere(await describeIt(), fileSystem));
      expect(words(refusals)).toContainEqual(
        expect.stringMatching(/is the same folder on both hosts is not known/),
      );
      expect(target.guest).toBeUndefined();
    },
  );

  it("refuses when the source does not see what the target wrote", async () => {
    const { plan: proposed } = await plan(await describeIt());
    rmSync(join(shared, ".ferry-nonce-m1-target"));
    expect(words((await prove(proposed)).refusals)).toEqual([
      expect.stringMatching(/not the other way round/),
    ]);
    await source.hypervisor.destroy(SERVER, { graceful: true });
    await expect(fence()).rejects.toThrow(/was not proven/);
    expectHome();
  });

  it("refuses when only the source sees the other's word", async () => {
    const { plan: proposed } = await plan(await describeIt());
    const files = proposed.files.map(file => ({ ...file, mode: "copied" }));
    expect(words((await prove({ ...proposed, files })).refusals)).toEqual([
      expect.stringMatching(/the target did not see it so/),
    ]);
  });

  it("refuses a file that holds something else than was written", async () => {
    const manifest = await describeIt();
    writeFileSync(join(shared, ".ferry-nonce-m1-source"), "somebody's");
    await expect(plan(manifest)).rejects.toThrow(/does not hold what the other host has written/);
  });

  it.each([[["vda/0", "vdb/0"]], [[]]])("is not fenced when the controller calls %j shared", async files => {
    await prepare();
    await source.hypervisor.destroy(SERVER, { graceful: true });
    await expect(fence(files)).rejects.toThrow(/was not proven/);
    expectHome();
  });

  const expectHome = () => {
    expect(statSync(disk).ino).toBe(inode);
    expect(source.hypervisor.domains.has(SERVER)).toBe(true);
  };
});
