/**
 * Which domains Ferry takes over: those that it can stop, undefine and put back exactly. Every other is refused with the
 * reason and goes on untouched, unmanaged.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bareGuest } from "./bare-guest.js";
import { IMAGE_DIR, startGuest } from "./guest.js";
import { Lab } from "./lab.js";
import { expectRefusal } from "./refusal.js";

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up({ id: "adopt", hosts: 2 });
});
afterAll(() => lab.down());

const onH1 = (script: string): Promise<string> =>
  lab.output("h1", ["sh", "-euc", `cd ${IMAGE_DIR}\n${script}`]);
const adopt = (domain: string, ...words: string[]): string[] => [
  "server",
  "adopt",
  domain,
  "--host",
  "h1",
  ...words,
];

const expectNotAdopted = (domain: string, ...says: string[]) =>
  expectRefusal(lab, adopt(domain), { exit: 3, says });

describe("a running domain is not adopted", () => {
  beforeAll(() => bareGuest(lab, "h1", { name: "live" }));

  it("with a device that was plugged in and is in no definition", async () => {
    await onH1(
      "truncate -s 1M plugged.raw && virsh -q attach-disk live $PWD/plugged.raw vdb --live --subdriver raw",
    );
    await expectNotAdopted(
      "live",
      "disk vdb",
      "have: running guest only",
      "fix:  detach it, or attach it with --config",
    );
    await onH1("virsh -q detach-disk live vdb --live");
  });

  it("while it is paused", async () => {
    await onH1("virsh -q suspend live");
    await expectNotAdopted("live", "live is paused", "need: running or shut off", "fix:  virsh resume live");
    await onH1("virsh -q resume live");
  });

  it("while a block job runs on a disk", async () => {
    await onH1("virsh -q blockcopy live vda $PWD/mirror.raw --format raw --transient-job 2>&1");
    await expectNotAdopted(
      "live",
      "a block job runs on disk vda of live",
      "fix:  wait for it, or virsh blockjob live vda",
    );
    await onH1("virsh -q blockjob live vda --abort");
  });

  it("when it would vanish with its guest", async () => {
    await onH1("virsh -q dumpxml --inactive live >/tmp/live.xml && virsh -q undefine live");
    await expectNotAdopted(
      "live",
      "live is a transient domain",
      "need: a persistent domain",
      "virsh define live.xml",
    );
    await onH1("virsh -q define /tmp/live.xml");
  });

  it("when its memory was saved to be resumed", async () => {
    await onH1("virsh -q managedsave live");
    await expectNotAdopted("live", "live has a managed-save image", "fix:  virsh start live to resume it");
    await onH1("virsh -q managedsave-remove live");
  });
});

describe("a domain is not adopted", () => {
  it("with a snapshot", async () => {
    await onH1("qemu-img create -q -f qcow2 snapped.qcow2 8M");
    const file = `${IMAGE_DIR}/snapped.qcow2`;
    await bareGuest(lab, "h1", { name: "snapped", format: "qcow2", file, isOff: true });
    await onH1("virsh -q snapshot-create-as snapped before-upgrade");
    const says = ["snapshot before-upgrade of snapped cannot be re-created", "virsh snapshot-delete snapped"];
    await expectNotAdopted("snapped", ...says);
  });

  it("with a directory of its host in it", async () => {
    const devices = '<filesystem type="mount"><source dir="/srv"/><target dir="share"/></filesystem>';
    await bareGuest(lab, "h1", { name: "sharing", devices, isOff: true });
    await expectNotAdopted("sharing", "shares a directory of its host (share)", "fix:  remove it");
  });

  it("with a device of its host", async () => {
    const address = '<source><address domain="0" bus="0" slot="31" function="0"/></source>';
    const devices = `<hostdev mode="subsystem" type="pci" managed="yes">${address}</hostdev>`;
    await bareGuest(lab, "h1", { name: "passing", devices, isOff: true });
    const says = ["has a pci device of its host assigned (0000:00:1f.0)", "fix:  name it in [[pci_alias]]"];
    await expectNotAdopted("passing", ...says);
  });

  it("that nobody knows, or on a host that nobody knows", async () => {
    await expectRefusal(lab, adopt("nope"), {
      exit: 9,
      says: ['no domain "nope"', "fix:  virsh list --all"],
    });
    const words = ["server", "adopt", "live", "--host", "h9"];
    await expectRefusal(lab, words, { exit: 9, says: ["Compute host h9 could not be found."] });
  });

  it("with a disk that it does not have named as swap", async () => {
    const says = ["there is no disk vdz", "need: a disk of this domain"];
    await expectRefusal(lab, adopt("live", "--swap-disk", "vdz"), { exit: 3, says });
  });
});

describe("an image is refused", () => {
  it("that is not the qcow2 which it is declared to be", async () => {
    await bareGuest(lab, "h1", { name: "lying", format: "qcow2", isOff: true });
    await expectNotAdopted(
      "lying",
      "the image lies about its format",
      "have: no qcow2 signature",
      "need: a qcow2 image",
    );
  });

  it("whose backing file lies outside the image folders", async () => {
    await onH1(`qemu-img create -q -f raw /var/lib/libvirt/outside.raw 8M
      qemu-img create -q -f qcow2 -b /var/lib/libvirt/outside.raw -F raw inside.qcow2`);
    const file = `${IMAGE_DIR}/inside.qcow2`;
    await bareGuest(lab, "h1", { name: "outward", format: "qcow2", file, isOff: true });
    await expectNotAdopted("outward", "/var/lib/libvirt/outside.raw");
  });

  it("that does not say the format of its backing file", async () => {
    // As older versions of qemu-img wrote it: without that header extension.
    await onH1(`qemu-img create -q -f raw base.raw 8M && qemu-img create -q -f qcow2 -b base.raw -F raw vague.qcow2
      perl -pi -e 's/\\xE2\\x79\\x2A\\xCA/\\x00\\x00\\x00\\x01/' vague.qcow2`);
    const file = `${IMAGE_DIR}/vague.qcow2`;
    await bareGuest(lab, "h1", { name: "vague", format: "qcow2", file, isOff: true });
    await expectNotAdopted(
      "vague",
      "does not say the format of its backing file",
      "fix:  qemu-img rebase -u -F",
    );
  });

  it("but a qcow2 that is declared raw is raw: never looked into, and moved byte by byte", async () => {
    await onH1(`qemu-img create -q -f raw /var/lib/libvirt/secret.raw 8M
      qemu-img create -q -f qcow2 -b /var/lib/libvirt/secret.raw -F raw trojan.raw`);
    await bareGuest(lab, "h1", { name: "trojan", file: `${IMAGE_DIR}/trojan.raw`, isOff: true });
    const before = await onH1("sha256sum trojan.raw");
    await lab.output("ctl", ["ferry", ...adopt("trojan")]);
    const moved = await lab.ferry("server", "migrate", "trojan", "--host", "h2", "--wait");
    expect(moved).toMatchObject({ code: 0, stdout: expect.stringContaining("trojan is on h2") });
    expect(await lab.output("h2", ["sh", "-c", `cd ${IMAGE_DIR} && sha256sum trojan.raw`])).toBe(
      before.trim(),
    );
    const kept = await lab.output("h2", ["virsh", "-q", "dumpxml", "--inactive", "trojan"]);
    expect(kept).toMatch(/<driver name='qemu' type='raw'\/>\s*<source file='[^']*\/trojan.raw'/);
    expect(await lab.exec("h2", ["test", "-e", "/var/lib/libvirt/secret.raw"])).toMatchObject({ code: 1 });
  });
});

describe("a domain that can be put back exactly", () => {
  it("is told apart first: a swap signature is a suggestion", async () => {
    await startGuest(lab, "h1", { name: "web" });
    const seen = await lab.ferry(...adopt("web", "--dry-run"));
    expect(seen).toMatchObject({ code: 0, stderr: "" });
    expect(seen.stdout).toContain("suggestion: disk vdc looks like swap; name it with --swap-disk vdc");
    expect(seen.stdout).toMatch(/disk vdc \(ephemeral\).* copied/);
    expect(await lab.ferry("server", "show", "web")).toMatchObject({ code: 9 });
  });

  it("is adopted once, with the roles that the operator named", async () => {
    const taken = await lab.ferry(...adopt("web", "--swap-disk", "vdc", "--ephemeral-disk", "vdb"));
    expect(taken).toMatchObject({ code: 0, stderr: "" });
    expect(taken.stdout).toMatch(/disk vdc \(swap\).* re-created/);
    expect(taken.stdout).not.toContain("suggestion");
    await expectRefusal(lab, adopt("web"), { exit: 4, says: ["a server named web already exists"] });
  });

  it("and then moves: it finds its data again on the other host", async () => {
    const moved = await lab.ferry("server", "migrate", "web", "--host", "h2", "--wait");
    expect(moved).toMatchObject({ code: 0, stdout: expect.stringContaining("web is on h2") });
    await lab.waitForConsole("h2", "web", /MARKER-OK vda2 boots=2[\s\S]*EPH-OK vdb boots=2[\s\S]* READY/);
    await lab.waitForConsole("h2", "web", /SWAP vdc kib=16380[\s\S]*SWAP vdc kib=16380|SWAP vdc kib=16380/);
    const domains = await lab.output("h1", ["virsh", "-q", "list", "--all", "--name"]);
    expect(domains.split("\n")).not.toContain("web");
  });
});
