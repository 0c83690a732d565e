/** A target is left: what it must not discard, what it may touch, and what it says. */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { factsAt } from "../../../agent/disk/file-identity.js";
import { PartJournal } from "../../../agent/transfer/part-journal.js";
import { closeMigration } from "../../../agent/verbs/close-migration.js";
import { createTarget } from "../../../agent/verbs/create-target.js";
import { defineTarget } from "../../../agent/verbs/define-target.js";
import { recordIncoming } from "../../../agent/verbs/incoming-artifacts.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { releaseTarget } from "../../../agent/verbs/release-target.js";
import { removeTargetFiles } from "../../../agent/verbs/remove-target-files.js";
import { withdrawTarget } from "../../../agent/verbs/withdraw-target.js";
import { TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { type Host, SERVER, TARGET } from "./host.js";
import { fenceReceipt } from "./receipts.js";
import { unchanged, withTwoHosts } from "./two-hosts.js";

let source: Host;
let target: Host;
withTwoHosts((...made) => {
  [source, target] = made;
});

const DISK = "images/web-3/disk";

async function prepare(): Promise<TargetPlan> {
  const { plan } = await prepareTarget(unchanged(source.manifest()), target.call(), target.world);
  return plan ?? TargetPlan.fromPartial({});
}

async function create(): Promise<void> {
  const plan = await prepare();
  await target.receive(plan);
  await defineTarget({ plan, copy: undefined }, target.call(), target.world);
  const receipt = { fenceReceipt: fenceReceipt(source.world.tls), leaveOff: false };
  await createTarget(receipt, target.call(), target.world);
}

/** As an unwinding asks: at the epoch after. */
const withdraw = ({ afterRun = false, epoch = 3 } = {}) =>
  withdrawTarget({ afterRun, peerHost: "h1" }, target.call({ epoch }), target.world);
const remove = (epoch = 3) => removeTargetFiles({}, target.call({ epoch }), target.world);

describe("a target that is withdrawn", () => {
  it("is ended, undefined and denied, and keeps its disks until they are removed", async () => {
    await create();
    await withdraw();
    expect(target.hypervisor.domains.size).toBe(0);
    expect(await target.verdict()).toMatchObject({ kind: "deny" });
    expect(target.has(`${DISK}.dropped-m1`)).toBe(true);
    expect(target.guest).toMatchObject({ role: "fenced", migrationId: "m1" });
    await remove();
    expect(target.has("images/web-3")).toBe(false);
    expect(target.guest).toMatchObject({ role: "none", migrationId: "" });
  });

  it("keeps a guest whose CPUs may have run, unless a person decides", async () => {
    await create();
    await releaseTarget({}, target.call(), target.world);
    await target.hypervisor.destroy(SERVER, { graceful: true });
    await expect(withdraw()).rejects.toMatchObject({ code: "stuck" });
    expect(target.has(DISK)).toBe(true);
    await withdraw({ afterRun: true });
    expect(target.has(DISK)).toBe(false);
  });

  it("keeps a guest that somebody started behind the agent's back", async () => {
    await create();
    target.write(`state/ran/${SERVER}`, `${TARGET} 2026-01-01T00:00:00Z\n`);
    await expect(withdraw()).rejects.toMatchObject({ code: "stuck" });
    // The journal has the hook's mark from now on, which is cleared only then.
    expect(target.guest).toMatchObject({ mayHaveRun: true });
    expect(target.has(`state/ran/${SERVER}`)).toBe(false);
    await expect(withdraw()).rejects.toMatchObject({ code: "stuck" });
  });

  it("leaves the mark of another incarnation to whom it speaks of", async () => {
    await create();
    target.write(`state/ran/${SERVER}`, `${SERVER}/home/source/1 2026-01-01T00:00:00Z\n`);
    await withdraw();
    expect(target.has(`state/ran/${SERVER}`)).toBe(true);
  });

  it("keeps a guest that somebody resumed, of which no hook tells", async () => {
    await create();
    await target.hypervisor.resume(SERVER);
    await expect(withdraw()).rejects.toMatchObject({ code: "stuck" });
    expect(target.hypervisor.domains.get(SERVER)?.state).toBe("running");
  });

  it("leaves a file alone that came under a planned name meanwhile", async () => {
    await prepare();
    target.write(DISK, "somebody's");
    await withdraw();
    await remove();
    expect(target.read(DISK)).toBe("somebody's");
  });

  it("leaves a file alone that took the place of a received one, and says so", async () => {
    const plan = await prepare();
    await target.receive(plan);
    target.write("images/web-3/new", "somebody's");
    renameSync(target.at("images/web-3/new"), target.at(DISK));
    await withdraw();
    await remove();
    expect(target.read(DISK)).toBe("somebody's");
    expect(target.notes).toEqual([expect.stringMatching(/kept on the target.*web-3\/disk/)]);
  });

  it("knows a received file that was not recorded any more by its transfer's journal", async () => {
    await prepare();
    recordIncoming(target.at(DISK), undefined, target.call(), target.world);
    mkdirSync(target.at("images/web-3"));
    await writeReceived(target.at(DISK));
    await withdraw();
    expect(target.has(`${DISK}.dropped-m1`)).toBe(true);
    await remove();
    expect(target.has(`${DISK}.dropped-m1`) || target.has(`${DISK}.part-m1.journal`)).toBe(false);
  });

  it("says the same at every later epoch, also where nothing was prepared", async () => {
    await withdraw({ epoch: 3 });
    await withdraw({ epoch: 4 });
    await remove(5);
    await closeMigration({ outcome: "unwound" }, target.call({ epoch: 5 }), target.world);
    expect(target.world.documents.tombstone("m1")).toBe("unwound");
  });

  it.each([
    { role: "active", migrationId: "", incarnation: "home" },
    { role: "incoming", migrationId: "m2", incarnation: "m2" },
    { role: "fenced", migrationId: "m0", incarnation: "m0" },
  ] as const)("does not touch the row of a server that is $role for another", async row => {
    target.world.guests.update(SERVER, { ...row, mayHaveRun: true });
    await withdraw();
    await remove();
    expect(target.guest).toMatchObject({ ...row, mayHaveRun: true });
  });

  it("keeps no document of a migration that was confirmed", async () => {
    await create();
    await releaseTarget({}, target.call(), target.world);
    await closeMigration({ outcome: "confirmed" }, target.call(), target.world);
    expect(target.world.documents.list("%").filter(({ migrationId }) => migrationId === "m1")).toEqual([]);
  });

  it("cannot be closed before its files are gone", async () => {
    await create();
    await withdraw();
    const close = () => closeMigration({ outcome: "unwound" }, target.call({ epoch: 3 }), target.world);
    await expect(close()).rejects.toThrow(/is still fenced/);
    expect(target.world.documents.tombstone("m1")).toBeUndefined();
    await remove();
    await close();
  });

  it("removes nothing before it was withdrawn", async () => {
    const plan = await prepare();
    await target.receive(plan);
    await expect(remove()).rejects.toThrow(/not fenced/);
    expect(target.has(DISK)).toBe(true);
  });
});

/** As a transfer leaves it that was killed right after the rename. */
async function writeReceived(path: string): Promise<void> {
  writeFileSync(path, "received");
  await using file = await open(`${path}.part-m1.journal`, "w+");
  const part = await factsAt(target.world.files, path);
  if (part === undefined) throw new Error("nothing was written");
  const { device, inode, birthNs } = part;
  const identity = { device, inode, birthNs };
  await new PartJournal(file.fd).begin({
    migrationId: "m1",
    fileId: "vda/0",
    algorithm: "sha256",
    leafBytes: 262_144,
    sizeBytes: 8,
    source: { ...identity, mtimeNs: "0", ctimeNs: "0" },
    part: identity,
    holdsOlder: false,
  });
}
