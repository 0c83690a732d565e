/**
 * A disk on a block device that both hosts have: proven to be one device, never taken for a file, and let go before the other
 * side has it. Its path does not exist where this runs: whoever tried to open, rename or remove it would fail.
 */

import { open } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Claim } from "../../../agent/claim/claim.js";
import { heldLine } from "../../../agent/describe-migration.js";
import type { BlockDevice } from "../../../agent/disk/block-device.js";
import { type BlockDevices, type HeldDevice, inUse } from "../../../agent/disk/block-devices.js";
import { connectTarget } from "../../../agent/verbs/connect-target.js";
import { deleteDomain } from "../../../agent/verbs/delete-domain.js";
import { fenceIncarnation } from "../../../agent/verbs/fence-incarnation.js";
import { holdDevices } from "../../../agent/verbs/hold-devices.js";
import { preflightRevert } from "../../../agent/verbs/preflight-revert.js";
import { describeSource, prepareSource } from "../../../agent/verbs/prepare-source.js";
import { prepareTarget } from "../../../agent/verbs/prepare-target.js";
import { proveStorage } from "../../../agent/verbs/prove-storage.js";
import { presentLines } from "../../../agent/verbs/receive-disks.js";
import { retireSource } from "../../../agent/verbs/retire-source.js";
import { deviceRefusals } from "../../../agent/verbs/target-block-devices.js";
import { unfenceIncarnation } from "../../../agent/verbs/unfence-incarnation.js";
import { withdrawTarget } from "../../../agent/verbs/withdraw-target.js";
import { Fault } from "../../../proto/fault.js";
import { type SourceManifest, TargetPlan } from "../../../proto/gen/ferry/v1/agent.js";
import { Disk, Flavor } from "../../../proto/gen/ferry/v1/model.js";
import { Certificates } from "../proto/certificates.js";
import { Host, SERVER, SOURCE } from "./host.js";

const PATH = "/dev/mapper/ferry-test-data";
const GIB = 1024 ** 3;
const WWID = "naa.6001405aaaabbbbccccddddeeeeffff0";
const LUN: BlockDevice = {
  path: PATH,
  sizeBytes: GIB,
  worldWideId: WWID,
  lacking: "",
  kernelId: "boot-1/253:4/7",
  hostId: `name ${WWID}`,
};
const TWO_GIB = Flavor.fromPartial({ id: "f", vcpus: 1, ramMib: 1, rootGib: 2 });
const NAMELESS = { ...LUN, worldWideId: "", lacking: "it is a loop device" };

/** What a host has under that path. */
class Devices implements BlockDevices {
  found: BlockDevice | Fault = LUN;
  open: string[] = [];
  claimed: string | undefined;
  written: number | undefined = 7;

  async read(): Promise<BlockDevice> {
    if (this.found instanceof Fault) throw this.found;
    return this.found;
  }
  whyClaimed = async () => this.claimed;
  holders = async () => this.open;
  writes = async () => this.written;
  /** Its content stands in this test's own source. */
  async hold(path: string): Promise<HeldDevice> {
    if (this.open.length > 0) throw inUse(path, this.open);
    const [device, file] = [await this.read(), await open(import.meta.filename)];
    const facts = async () => ({
      device: device.kernelId,
      inode: "0",
      birthNs: "0",
      sizeBytes: device.sizeBytes,
      allocatedBytes: device.sizeBytes,
      mtimeNs: `${this.written}`,
      ctimeNs: "0",
    });
    return { fd: file.fd, device, facts, [Symbol.asyncDispose]: () => file.close() };
  }
}

let certificates: Certificates;
beforeAll(async () => {
  certificates = await Certificates.make();
});
afterAll(() => certificates[Symbol.dispose]());

let source: Host;
let target: Host;
let atH1: Devices;
let atH2: Devices;

async function hostWith(name: string, devices: Devices): Promise<Host> {
  const host = await Host.make(name, certificates);
  const fence = { ...host.world.fence, blockDevices: devices };
  host.world = { ...host.world, blockDevices: devices, fence };
  return host;
}

const diskXml = ({ device = "disk", format = "raw", dev = "vdb" } = {}) =>
  `<disk type="block" device="${device}"><driver name="qemu" type="${format}"/><source dev="${PATH}"/><target dev="${dev}" bus="virtio"/></disk>`;

beforeEach(async () => {
  [atH1, atH2] = [new Devices(), new Devices()];
  [source, target] = [await hostWith("h1", atH1), await hostWith("h2", atH2)];
  await source.settle({ xml: source.domainXml({ extra: diskXml() }) });
});
afterEach(() => {
  source[Symbol.dispose]();
  target[Symbol.dispose]();
});

const atSource = (epoch = 2) => [source.call({ epoch }), source.world] as const;
const atTarget = (epoch = 2) => [target.call({ epoch }), target.world] as const;
const words = (refusals: readonly { readonly message: string }[]) => refusals.map(({ message }) => message);

async function describeIt(blockDisks?: string): Promise<SourceManifest> {
  const { manifest, refusals } = await prepareSource({ readOnlyDrives: "", blockDisks }, ...atSource());
  expect(words(refusals)).toEqual([]);
  if (manifest === undefined) throw new Error("no manifest");
  // Their folders are of two hosts; the fake hypervisor has no CPU to compare.
  const folders = manifest.folders.map(folder => ({ ...folder, fileSystem: "ext4" }));
  return { ...manifest, folders, facts: source.manifest().facts };
}

interface Asked {
  readonly flavor?: Flavor;
  readonly blockDisks?: string;
  readonly diskFormat?: string;
}

async function plan(manifest: SourceManifest, { flavor, ...asked }: Asked = {}) {
  const plain = { sourceHost: "h1", networkMap: {}, flavor, extraSpecs: {}, crossCell: false };
  const request = { manifest, ...plain, ...asked };
  const answer = await prepareTarget(request, ...atTarget());
  return { plan: answer.plan ?? TargetPlan.fromPartial({}), refusals: answer.refusals };
}

const refusalsAtTarget = async () => (await plan(await describeIt())).refusals;
const prove = (proposed: TargetPlan) => proveStorage({ plan: proposed, targetHost: "h2" }, ...atSource());
const fence = () => fenceIncarnation({ stateHash: "", peerHost: "h2", sharedFiles: [] }, ...atSource());

async function prepare(): Promise<TargetPlan> {
  const { plan: proposed, refusals } = await plan(await describeIt());
  expect(words(refusals)).toEqual([]);
  expect(words((await prove(proposed)).refusals)).toEqual([]);
  await source.hypervisor.destroy(SERVER, { graceful: true });
  return proposed;
}

describe("a disk on a block device", () => {
  it("stays where it is, with its proof in the receipt", async () => {
    const proposed = await prepare();
    expect(proposed.files.map(({ id }) => id)).toEqual(["vda/0"]);
    expect(proposed.disks).toMatchObject([
      { mode: "copied" },
      { path: PATH, role: "volume", mode: "shared" },
    ]);
    expect(presentLines(proposed, [], { algorithm: "blake3", finishedAtMs: 5 })).toMatchObject([
      { id: "vdb/0", path: PATH, mode: "shared", sizeBytes: GIB, digest: `device ${WWID}`, algorithm: "" },
    ]);
    await fence();
    const record = await source.world.fence.journal.find({
      server: SERVER,
      migration: "m1",
      incarnation: SOURCE,
    });
    expect(record?.files.map(({ id }) => id)).toEqual(["vda/0"]);
    expect(record?.statement?.devices).toEqual([{ id: "vdb/0", path: PATH, identity: WWID }]);
    expect((await connectTarget({}, ...atTarget())).refusals).toEqual([]);
  });

  it("is taken for the same one by one kernel's word where it has no name", async () => {
    atH1.found = atH2.found = NAMELESS;
    expect(words(await refusalsAtTarget())).toEqual([]);
  });

  it.each<[string, BlockDevice | Fault, RegExp]>([
    ["another device", { ...LUN, worldWideId: WWID.replace(/0$/, "1") }, /is another device on the target/],
    ["another size", { ...LUN, sizeBytes: GIB + 512 }, /is another device on the target/],
    ["no name", { ...NAMELESS, kernelId: "boot-2/253:4/7" }, /is one device on both hosts cannot be proven/],
    ["nothing", new Fault("not-found", `there is no block device ${PATH}`), /has no block device .* to use/],
    ["one that is not listed", new Fault("refused", "it is not listed"), /to use: it is not listed/],
  ])("is refused for a target that has %s", async (_what, found, reason) => {
    atH2.found = found;
    expect(words(await refusalsAtTarget())).toEqual([expect.stringMatching(reason)]);
    expect(target.guest).toBeUndefined();
  });

  it("is refused where both have a device without a name under one path", async () => {
    atH1.found = NAMELESS;
    atH2.found = { ...NAMELESS, kernelId: "boot-2/253:4/7" };
    expect(await refusalsAtTarget()).toMatchObject([
      {
        message: expect.stringMatching(/cannot be proven/),
        have: expect.stringMatching(/it is a loop device/),
      },
    ]);
  });

  it("is refused while somebody on the target has it open, also after the source was fenced", async () => {
    atH2.open = ["process 7 (dd)"];
    expect(await refusalsAtTarget()).toMatchObject([
      { message: expect.stringMatching(/is open on the target/), have: "process 7 (dd)" },
    ]);
    atH2.open = [];
    await prepare();
    atH2.open = ["process 7 (dd)"];
    await expect(connectTarget({}, ...atTarget())).rejects.toThrow(/is open on the target/);
  });

  it("is refused at the source when the host itself uses it", async () => {
    atH1.claimed = "the host itself";
    const { refusals } = await describeSource({ readOnlyDrives: "" }, ...atSource());
    expect(words(refusals)).toEqual([expect.stringMatching(/is not the guest's alone/)]);
  });

  it.each([
    ["an image", { format: "qcow2" }, /is not declared raw/],
    ["a SCSI device passed through", { device: "lun" }, /has a source of type block/],
    ["a drive", { device: "cdrom" }, /has a source of type block/],
  ])("is refused as %s", async (_what, change, reason) => {
    await source.settle({ xml: source.domainXml({ extra: diskXml(change) }) });
    const { refusals } = await describeSource({ readOnlyDrives: "carry" }, ...atSource());
    expect(words(refusals)).toContainEqual(expect.stringMatching(reason));
  });

  it("is not fenced without the target's proof", async () => {
    const { plan: proposed } = await plan(await describeIt());
    expect(words((await prove({ ...proposed, blockDevices: [] })).refusals)).toEqual([
      expect.stringMatching(/did not prove that it has/),
    ]);
    await source.hypervisor.destroy(SERVER, { graceful: true });
    await expect(fence()).rejects.toThrow(/was not proven/);
  });

  it("is not fenced while it is open, nor when it is another one than was prepared", async () => {
    await prepare();
    atH1.open = ["process 7 (qemu-system-x86)"];
    await expect(fence()).rejects.toThrow(/is open on this host/);
    expect(source.has("images/web-3/disk")).toBe(true);
    expect(source.hypervisor.domains.has(SERVER)).toBe(true);
    atH1.open = [];
    await fence();
  });

  it("that became another one after it was prepared unwinds the migration", async () => {
    await prepare();
    atH1.found = { ...LUN, sizeBytes: 2 * GIB };
    await expect(fence()).rejects.toThrow(/changed behind Ferry/);
  });

  it("does not grow with a flavor, where it is the root", async () => {
    const rootXml = source.domainXml().replace(/<disk.*<\/disk>/, diskXml({ dev: "vda" }));
    await source.settle({ xml: rootXml });
    const { refusals } = await plan(await describeIt(), { flavor: TWO_GIB });
    expect(refusals).toMatchObject([
      {
        message: expect.stringMatching(/both hosts have and would change its size/),
        fix: expect.stringMatching(/where it is made/),
      },
    ]);
  });

  it("may be open by its own guest where it stays on its host, until that is fenced", async () => {
    const manifest = await describeIt();
    atH1.open = ["process 7 (qemu-system-x86)"];
    expect(await deviceRefusals(manifest, "h1", source.world)).toEqual([]);
    const afterwards = await deviceRefusals(manifest, "h1", source.world, { sourceIsFenced: true });
    expect(words(afterwards)).toEqual([expect.stringMatching(/is open on the target/)]);
  });

  it("is left as it is when its server is deleted", async () => {
    await deleteDomain({}, source.call({ migrationId: "" }), source.world);
    expect(source.hypervisor.domains.has(SERVER)).toBe(false);
  });
});

describe("a revert of a server on a block device", () => {
  it("is refused while the source would not find that device", async () => {
    await prepare();
    await fence();
    expect(words((await preflightRevert({}, ...atSource())).refusals)).toEqual([]);
    atH1.found = { ...LUN, worldWideId: WWID.replace(/0$/, "1") };
    expect(words((await preflightRevert({}, ...atSource())).refusals)).toEqual([
      expect.stringMatching(/is another one than was fenced/),
    ]);
    atH1.found = new Fault("not-found", `there is no block device ${PATH}`);
    expect(words((await preflightRevert({}, ...atSource())).refusals)).toEqual([
      expect.stringMatching(/there is no block device/),
    ]);
  });

  it("has no word of the target while somebody there has it open, and then starts nothing on another device", async () => {
    await prepare();
    await fence();
    atH2.open = ["process 9 (qemu-system-x86)"];
    const withdraw = () => withdrawTarget({ afterRun: false, peerHost: "h1" }, ...atTarget(3));
    await expect(withdraw()).rejects.toThrow(/is open on this host/);
    atH2.open = [];
    const { receipt: mirrorReceipt } = await withdraw();
    const order = { mirrorReceipt, start: false, peerHost: "h2", fencedHost: undefined };
    atH1.found = new Fault("not-found", `there is no block device ${PATH}`);
    await expect(unfenceIncarnation(order, ...atSource(3))).rejects.toThrow(/there is no block device/);
    expect(source.has("images/web-3/disk")).toBe(false);
    atH1.found = LUN;
    await unfenceIncarnation(order, ...atSource(3));
    expect(await source.verdict()).toEqual({ kind: "allow", incarnation: SOURCE });
  });
});

describe("a disk on a block device of one host alone", () => {
  const LOCAL: BlockDevice = { ...NAMELESS, lacking: "it is mapped as CRYPT", hostId: "dm LVM-abc" };
  const COPY = { blockDisks: "copy" };
  const FILE = () => target.at("images/web-3/disk.vdb");

  beforeEach(() => {
    atH1.found = LOCAL;
    atH2.found = new Fault("not-found", `there is no block device ${PATH}`);
  });

  /** Up to the fence of its source. */
  async function fenced(asked: Asked = COPY): Promise<TargetPlan> {
    const { plan: proposed, refusals } = await plan(await describeIt("copy"), asked);
    expect(words(refusals)).toEqual([]);
    expect(words((await prove(proposed)).refusals)).toEqual([]);
    await source.hypervisor.destroy(SERVER, { graceful: true });
    await fence();
    return proposed;
  }

  const recordOfSource = () =>
    source.world.fence.journal.find({ server: SERVER, migration: "m1", incarnation: SOURCE });

  it("is refused with the option that takes it along, and then becomes a file", async () => {
    expect((await plan(await describeIt())).refusals).toMatchObject([
      { message: expect.stringMatching(/no block device/), fix: expect.stringMatching(/--block-disks copy/) },
    ]);
    const proposed = await fenced();
    expect(proposed.blockDevices).toEqual([]);
    expect(proposed.files.map(({ id, path, mode, sizeBytes }) => [id, path, mode, sizeBytes])).toEqual([
      ["vda/0", expect.any(String), "copied", expect.any(Number)],
      ["vdb/0", FILE(), "copied", GIB],
    ]);
    expect(proposed.disks).toMatchObject([
      {},
      { targetDev: "vdb", role: "volume", mode: "copied", format: "raw", path: FILE() },
    ]);
  });

  it("keeps everything else of its definition", async () => {
    const own = `<serial>ABC</serial><boot order="2"/>`;
    const xml = diskXml()
      .replace("</disk>", `${own}</disk>`)
      .replace(`type="raw"`, `type="raw" cache="none"`);
    await source.settle({ xml: source.domainXml({ extra: xml }) });
    const { domainXml } = await fenced();
    const disk = /<disk type="file"[^>]*><driver name="qemu" type="raw" cache="none"\/>.*?<\/disk>/.exec(
      domainXml,
    );
    expect(disk?.[0]).toContain(`<source file="${FILE()}"/>`);
    expect(disk?.[0]).toContain(own);
    expect(domainXml).not.toContain(PATH);
  });

  it("has its space booked on the target while the guest runs", async () => {
    await plan(await describeIt("copy"), COPY);
    const claim = target.world.documents.get<Claim>(SERVER, "m1", "claim");
    expect(claim?.bytes).toBeGreaterThanOrEqual(GIB);
  });

  it("stays where it is when the target is proven to have it", async () => {
    atH1.found = atH2.found = LUN;
    const { plan: proposed } = await plan(await describeIt("copy"), COPY);
    expect(proposed.blockDevices).toMatchObject([{ path: PATH }]);
    expect(proposed.files.map(({ id }) => id)).toEqual(["vda/0"]);
  });

  it.each(["", "refuse", undefined])("is not copied for a target's word where %j was asked", async asked => {
    const { plan: proposed } = await plan(await describeIt(asked), COPY);
    expect(words((await prove(proposed)).refusals)).toEqual([
      expect.stringMatching(/did not prove that it has/),
    ]);
    await source.hypervisor.destroy(SERVER, { graceful: true });
    await expect(fence()).rejects.toThrow(/was not proven/);
  });

  it.each<[string, Partial<BlockDevice>, number | undefined, RegExp]>([
    ["its host would not know again", { hostId: "" }, 7, /would not be known again after a reboot/],
    ["whose writes are not counted", {}, undefined, /whether anybody writes to .* cannot be seen/],
    ["without a sequence number", { kernelId: "" }, 7, /whether anybody writes to .* cannot be seen/],
  ])("is refused before the guest is stopped, if it is one %s", async (_what, change, written, reason) => {
    atH1.found = { ...LOCAL, ...change };
    atH1.written = written;
    const asked = { readOnlyDrives: "", blockDisks: "copy" };
    const { refusals } = await describeSource(asked, ...atSource());
    expect(words(refusals)).toEqual([expect.stringMatching(reason)]);
  });

  it("is fenced where it is, and named in the receipt", async () => {
    await fenced();
    const record = await recordOfSource();
    expect(record?.files.map(({ id }) => id)).toEqual(["vda/0"]);
    expect(record?.statement?.devices).toEqual([{ id: "vdb/0", path: PATH, identity: "dm LVM-abc" }]);
    expect(record && heldLine(record)).toBe(`${SOURCE}: fenced, 1 files set aside, ${PATH} left as it was`);
    expect(record?.devices).toMatchObject([
      { isCopied: true, asFenced: { kernelId: LOCAL.kernelId, writes: "7" } },
    ]);
  });

  it("is what the target withdraws, as a file of this migration", async () => {
    const proposed = await fenced();
    await target.receive(proposed);
    expect(target.has("images/web-3/disk.vdb")).toBe(true);
    await withdrawTarget({ afterRun: false, peerHost: "h1" }, ...atTarget(3));
    expect(target.has("images/web-3/disk.vdb")).toBe(false);
    expect(target.has("images/web-3/disk.vdb.dropped-m1")).toBe(true);
  });

  it("becomes what --disk-format says, and grows with a flavor where it is the root", async () => {
    await source.settle({ xml: source.domainXml().replace(/<disk.*<\/disk>/, diskXml({ dev: "vda" })) });
    const manifest = await describeIt("copy");
    const inQcow2 = await plan(manifest, { ...COPY, diskFormat: "qcow2" });
    expect(inQcow2.plan.files).toMatchObject([{ id: "vda/0", format: "raw", convertTo: "qcow2" }]);
    expect(inQcow2.plan.domainXml).toMatch(/<disk type="file"[^>]*><driver name="qemu" type="qcow2"\/>/);
    const larger = await plan(manifest, { ...COPY, flavor: TWO_GIB });
    expect(words(larger.refusals)).toEqual([]);
    expect(larger.plan.files).toMatchObject([{ id: "vda/0", newSizeBytes: 2 * GIB, format: "raw" }]);
  });

  it("is one that --disk-format means, and stays no part of the flavor afterwards", async () => {
    const { plan: proposed } = await plan(await describeIt("copy"), { ...COPY, diskFormat: "qcow2" });
    expect(proposed.files).toMatchObject([{ id: "vda/0" }, { id: "vdb/0", convertTo: "qcow2" }]);
    const file = source.write("images/web-3/disk.vdb", "made of a device");
    const vdb = { targetDev: "vdb", role: "volume", mode: "copied", path: file };
    const xml = `<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${file}"/><target dev="vdb" bus="virtio"/></disk>`;
    await source.settle({ xml: source.domainXml({ extra: xml }) });
    source.world.guests.update(SERVER, { disks: [Disk.fromPartial(vdb)] });
    expect((await describeIt()).disks).toMatchObject([{ role: "root" }, { role: "volume", mode: "copied" }]);
  });

  it("is read only while nobody writes to it, and only as the device that was fenced", async () => {
    await fenced();
    const hold = async () => holdDevices((await recordOfSource())?.devices ?? [], atH1);
    {
      await using held = await hold();
      expect(await held.outgoing("vdb/0")?.facts?.()).toMatchObject({ sizeBytes: GIB, mtimeNs: "7" });
      expect(held.outgoing("vda/0")).toBeUndefined();
      atH1.written = 8;
      await expect(held.requireUnwritten()).rejects.toThrow(/was written to since the server was fenced/);
    }
    await expect(hold()).rejects.toThrow(/was written to since/);
    atH1.found = { ...LOCAL, kernelId: "boot-2/253:4/7" };
    await (await hold())[Symbol.asyncDispose]();
    atH1.found = { ...LOCAL, hostId: "dm LVM-other" };
    await expect(hold()).rejects.toThrow(/is another device than was fenced/);
    atH1.open = ["process 7 (qemu-system-x86)"];
    await expect(hold()).rejects.toThrow(/is open on this host/);
  });

  it("is given back by a revert, also after a reboot, unless somebody has written to it or it is another one", async () => {
    await fenced();
    const problems = async () => words((await preflightRevert({}, ...atSource())).refusals);
    expect(await problems()).toEqual([]);
    atH1.written = 8;
    expect(await problems()).toEqual([
      expect.stringMatching(/vdb\/0: .* was written to since it was fenced/),
    ]);
    atH1.found = { ...LOCAL, kernelId: "boot-2/253:4/7" };
    expect(await problems()).toEqual([]);
    atH1.found = { ...LOCAL, hostId: "dm LVM-other" };
    expect(await problems()).toEqual([expect.stringMatching(/is another one than was fenced/)]);
    atH1.found = { ...LOCAL, kernelId: "boot-2/253:4/7" };
    const { receipt: mirrorReceipt } = await withdrawTarget(
      { afterRun: false, peerHost: "h1" },
      ...atTarget(3),
    );
    const order = { mirrorReceipt, start: false, peerHost: "h2", fencedHost: undefined };
    await unfenceIncarnation(order, ...atSource(3));
    expect(source.notes).toEqual([expect.stringMatching(/before its host was started anew is not known/)]);
    expect(source.hypervisor.domains.get(SERVER)?.xml).toContain(PATH);
  });

  it("keeps its content on the source when it is confirmed, and says so", async () => {
    await fenced();
    await retireSource({}, ...atSource());
    expect(source.notes).toContain(`kept on the source: ${PATH} on h1 still holds vdb/0 as it was`);
    expect(source.has("images/web-3/disk")).toBe(false);
  });
});
