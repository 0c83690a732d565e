/** A server leaves its source and comes back: what is fenced, sent, given back and removed, and on whose word. */

import { renameSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { closeMigration } from "../../../agent/verbs/close-migration.js";
import { fenceIncarnation } from "../../../agent/verbs/fence-incarnation.js";
import { prepareSource } from "../../../agent/verbs/prepare-source.js";
import { proveStorage } from "../../../agent/verbs/prove-storage.js";
import { retireSource } from "../../../agent/verbs/retire-source.js";
import { sendDisks } from "../../../agent/verbs/send-disks.js";
import { unfenceIncarnation } from "../../../agent/verbs/unfence-incarnation.js";
import { type SourceManifest, TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { type Host, SERVER, SOURCE, TARGET } from "./host.js";
import { fenceReceipt } from "./receipts.js";
import { type MakeHost, withTwoHosts } from "./two-hosts.js";

let source: Host;
let target: Host;
let makeHost: MakeHost;
withTwoHosts(async (...made) => {
  [source, target, makeHost] = made;
  await source.settle();
});

const DISK = "images/web-3/disk";

async function prepare(): Promise<SourceManifest | undefined> {
  const answer = await prepareSource({ readOnlyDrives: "" }, source.call(), source.world);
  expect(answer.refusals).toEqual([]);
  await proveStorage({ plan: TargetPlan.fromPartial({}), targetHost: "h2" }, source.call(), source.world);
  await source.hypervisor.destroy(SERVER, { graceful: true });
  return answer.manifest;
}

const fence = (stateHash = "") =>
  fenceIncarnation({ stateHash, peerHost: "h2", sharedFiles: [] }, source.call(), source.world);
const mirror = (change = {}, signer = target) =>
  fenceReceipt(signer.world.tls, {
    kind: "mirror",
    host: signer.name,
    peerHost: "h1",
    incarnation: TARGET,
    epoch: 3,
    facts: { domain: "undefined", running: false, filesOpen: false, refusesBelowEpoch: 3 },
    ...change,
  });
const unfence = (mirrorReceipt: ReturnType<typeof mirror> | undefined, peerHost = "h2") =>
  unfenceIncarnation(
    { mirrorReceipt, start: false, peerHost, fencedHost: undefined },
    source.call({ epoch: 3 }),
    source.world,
  );

describe("preparing a source", () => {
  it("refuses a way of compressing that it has not, before anything is touched", async () => {
    const engine = Object.create(source.world.engine, { compressions: { value: [] } });
    const prepareWith = (compression?: string) =>
      prepareSource({ readOnlyDrives: "", compression }, source.call(), { ...source.world, engine });
    const { refusals } = await prepareWith("zstd");
    expect(refusals.map(({ message, fix }) => `${message}: ${fix}`)).toEqual([
      expect.stringMatching(/^compress disk data with zstd: .*libzstd/),
    ]);
    expect((await prepareWith("auto")).refusals).toEqual([]);
    expect((await prepareWith()).refusals).toEqual([]);
  });
});

describe("fencing a source", () => {
  it("needs a hook that is proven now, not only when it was prepared", async () => {
    await prepare();
    source.hookProblem = "the connection to libvirt was lost";
    await expect(fence()).rejects.toThrow(/hook does not guard the source/);
    expect(source.has(DISK)).toBe(true);
    source.hookProblem = "";
    await fence();
    expect(source.has(DISK)).toBe(false);
  });

  it("is asked again, not refused, while it is not known whether the hook guards", async () => {
    source.isHookPending = true;
    await expect(prepare()).rejects.toMatchObject({ code: "unreachable" });
    source.isHookPending = false;
    await prepare();
    source.isHookPending = true;
    await expect(fence()).rejects.toMatchObject({ code: "unreachable" });
    expect(source.has(DISK)).toBe(true);
    source.isHookPending = false;
    await fence();
  });

  it("is refused when a disk was replaced behind Ferry, whatever hash the caller names", async () => {
    await prepare();
    source.write("images/web-3/other", "another disk ".repeat(1000));
    renameSync(source.at("images/web-3/other"), source.at(DISK));
    await expect(fence("")).rejects.toThrow(/changed behind Ferry/);
    expect(source.has(DISK)).toBe(true);
    expect(await source.verdict()).toMatchObject({ kind: "allow" });
  });

  it("looks again when an earlier attempt got no further than looking", async () => {
    const manifest = await prepare();
    source.world.documents.put(SERVER, "m1", "final", { manifest: source.manifest(), peerHost: "h2" });
    const { manifest: last } = await fence();
    expect(last?.files[0]?.sizeBytes).toBe(manifest?.files[0]?.sizeBytes);
  });
});

describe("sending disks", () => {
  const send = (...ids: string[]) => {
    const files = ids.map(id => ({ id, mode: "copied" }));
    const plan = TargetPlan.fromPartial({ files, dataAddress: "127.0.0.1", dataPort: 1 });
    return sendDisks({ plan, targetHost: "h2" }, source.call(), source.world);
  };

  it("is refused before the source is fenced", async () => {
    await prepare();
    await expect(send("vda/0")).rejects.toThrow(/not fenced/);
  });

  it.each(["tpm/../../../../etc/shadow", "nvram", "vdz/0"])(
    "sends no %s, which is not the migration's",
    async id => {
      await prepare();
      await fence();
      await expect(send(id)).rejects.toThrow(/is no file of this migration/);
    },
  );

  it("is refused while somebody has a disk open", async () => {
    await prepare();
    await fence();
    source.open.add(source.at(`${DISK}.fenced-m1`));
    await expect(send("vda/0")).rejects.toThrow(/is open in another process/);
  });
});

describe("restoring a source", () => {
  it("gives everything back on the target's word", async () => {
    await prepare();
    const before = source.read(DISK);
    await fence();
    expect(source.hypervisor.domains.size).toBe(0);
    await unfence(mirror());
    expect(source.read(DISK)).toBe(before);
    expect(source.hypervisor.domains.get(SERVER)?.xml).toBe(source.domainXml());
    expect(await source.verdict()).toEqual({ kind: "allow", incarnation: SOURCE });
    expect(source.guest).toMatchObject({ role: "active", incarnation: SOURCE });
  });

  const wrong: [string, () => ReturnType<typeof mirror> | undefined][] = [
    ["no word", () => undefined],
    ["a word of the epoch before", () => mirror({ epoch: 2 })],
    ["a word about another migration", () => mirror({ migration: "m0" })],
    ["its own word", () => mirror({ host: "h1" }, source)],
  ];
  it.each(wrong)("does nothing on %s", async (_name, receipt) => {
    await prepare();
    await fence();
    await expect(unfence(receipt())).rejects.toThrow(/receipt/);
    expect(source.has(DISK)).toBe(false);
    expect(await source.verdict()).toMatchObject({ kind: "deny" });
  });

  it("takes no other host's word than that of the one which its own receipt was for", async () => {
    await prepare();
    await fence();
    using other = await makeHost("h3");
    await expect(unfence(mirror({}, other), "h3")).rejects.toThrow(/receipt/);
    expect(source.has(DISK)).toBe(false);
  });

  const dead = { host: "h2", by: "user/ann", reason: "burnt", atMs: 1 };
  const declare = (change: Partial<typeof dead>) =>
    unfenceIncarnation(
      { mirrorReceipt: undefined, start: false, peerHost: "h2", fencedHost: { ...dead, ...change } },
      source.call({ epoch: 3 }),
      source.world,
    );

  it("takes a person's word that the target's host is dead, and keeps it", async () => {
    await prepare();
    await fence();
    await declare({});
    expect(source.guest).toMatchObject({ role: "active", incarnation: SOURCE });
    const record = await source.world.fence.journal.find({
      server: SERVER,
      migration: "m1",
      incarnation: SOURCE,
    });
    expect(record).toMatchObject({ state: "active", declared: dead });
  });

  it.each([{ host: "h3" }, { by: "" }, { reason: "" }])(
    "takes no word %o that says nothing of the target",
    async change => {
      await prepare();
      await fence();
      await expect(declare(change)).rejects.toThrow(/does not serve here/);
      expect(await source.verdict()).toMatchObject({ kind: "deny" });
    },
  );

  it("needs nobody's word where it was never fenced, but the server must be at home", async () => {
    await prepare();
    await unfence(undefined);
    expect(source.guest).toMatchObject({ role: "active" });
    source.world.guests.update(SERVER, { role: "retired" });
    await expect(unfence(undefined)).rejects.toThrow(/not active/);
  });

  it("is not possible behind a tombstone, so none is set while disks are held", async () => {
    await prepare();
    await fence();
    const close = closeMigration({ outcome: "reverted" }, source.call(), source.world);
    await expect(close).rejects.toThrow(/is still fenced/);
    await unfence(mirror());
    await closeMigration({ outcome: "reverted" }, source.call({ epoch: 3 }), source.world);
  });
});

describe("retiring a source", () => {
  it("removes what was fenced, and nothing that was not", async () => {
    await prepare();
    await expect(retireSource({}, source.call(), source.world)).rejects.toThrow(/not fenced/);
    expect(source.has(DISK)).toBe(true);
    await fence();
    source.write(DISK, "somebody's");
    await retireSource({}, source.call(), source.world);
    expect(source.has(`${DISK}.fenced-m1`)).toBe(false);
    expect(source.read(DISK)).toBe("somebody's");
    expect(await source.verdict()).toMatchObject({ kind: "deny" });
  });
});
