/**
 * What a source cannot give away, or not now, is refused while its guest runs; what Ferry merely does not know is carried
 * along as it is.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canonicalXml } from "../../agent/domain/canonical-xml.js";
import { bareServer, diskXml } from "./bare-guest.js";
import { IMAGE_DIR } from "./guest.js";
import { Lab, waitFor } from "./lab.js";
import { expectMigrationRefused, expectRefusal } from "./refusal.js";

const CDROM = (device: string, source = ""): string =>
  `<disk type="file" device="cdrom"><driver name="qemu" type="raw"/>${source}
    <target dev="${device}" bus="sata"/><readonly/></disk>`;

const QUICKLY = ["--shutdown-timeout", "1"];
const toH2 = (server: string): string[] => ["server", "migrate", server, "--host", "h2", "--wait"];

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up({ id: "refusals-source", hosts: 2 });
  await bareServer(lab, "h1", { name: "web" });
  await onH1(`cd ${IMAGE_DIR} && truncate -s 1M swap.raw && mkswap -q swap.raw 2>&1
    mkdir /tmp/iso && echo data >/tmp/iso/file
    genisoimage -quiet -V installer -o installer.iso /tmp/iso && genisoimage -quiet -V config-2 -o config.iso /tmp/iso`);
});
afterAll(() => lab.down());

const onH1 = (script: string): Promise<string> => lab.output("h1", ["sh", "-euc", script]);
const inactiveXml = (host: "h1" | "h2", name: string): Promise<string> =>
  lab.output(host, ["virsh", "-q", "dumpxml", "--inactive", name]);

describe("a server", () => {
  it("that nobody knows is not found, whatever is asked of it", async () => {
    for (const words of [toH2("nope"), ["server", "confirm", "nope"], ["server", "start", "nope"]]) {
      await expectRefusal(lab, words, { exit: 9, says: ["Instance nope could not be found."] });
    }
  });

  it("that is not in its verify window has nothing to confirm or to revert", async () => {
    const says = ["Cannot 'confirmResize' instance", "vm_state active", "fix:  ferry server show web"];
    await expectRefusal(lab, ["server", "confirm", "web"], { exit: 4, says });
    await expectRefusal(lab, ["server", "revert", "web", "--yes"], {
      exit: 4,
      says: ["web has no migration"],
    });
  });

  it("whose source does not call its hook stays where it is", async () => {
    const hook = "/etc/libvirt/hooks/qemu.d/50-ferry";
    const isProven = async () => !(await lab.ferry("host", "list")).stdout.includes("hook not loaded");
    await onH1(`chmod 644 ${hook}`);
    await lab.restartLibvirtd("h1");
    await waitFor(async () => !(await isProven()), { deadlineMs: 120_000, what: "h1 is not guarded" });
    const says = ["the libvirt hook does not guard the source", "host: h1", "fix:  restart libvirtd"];
    await expectMigrationRefused(lab, "web", { exit: 3, says });
    await onH1(`chmod 755 ${hook}`);
    await lab.restartLibvirtd("h1");
    await waitFor(isProven, { deadlineMs: 120_000, what: "h1 is guarded" });
  });

  it("whose swap holds a hibernated guest is refused, because it would wake up on another machine", async () => {
    const swap = `${IMAGE_DIR}/swap.raw`;
    await bareServer(lab, "h1", { name: "asleep", devices: diskXml(swap, "vdb") }, "--swap-disk", "vdb");
    await onH1(`printf S1SUSPEND | dd of=${swap} bs=1 seek=4086 conv=notrunc 2>&1`);
    const says = [
      "swap disk vdb: it holds a hibernated guest (S1SUSPEND)",
      "need: a guest",
      "fix:  start the guest",
    ];
    await expectMigrationRefused(lab, "asleep", { exit: 3, says });
  });

  it("whose definition was changed into one that could not be restored is refused", async () => {
    await bareServer(lab, "h1", { name: "changed" });
    await onH1(`truncate -s 1M ${IMAGE_DIR}/late.raw
      virsh -q attach-disk changed ${IMAGE_DIR}/late.raw vdb --live --subdriver raw`);
    const says = [
      "disk vdb",
      "differs between the running guest and its definition",
      "fix:  detach it, or attach it",
    ];
    await expectMigrationRefused(lab, "changed", { exit: 3, says });
  });
});

describe("a host that is down", () => {
  it("gives no server away: what it has cannot be known", async () => {
    await lab.agent("h1", "stop");
    const isDown = async () => /\| h1 .*\| down /.test((await lab.ferry("host", "list")).stdout);
    await waitFor(isDown, { deadlineMs: 120_000, what: "h1 is down" });
    const says = ["the agent of h1 is down", "host: h1", "fix:  look at ferry-agent on h1"];
    await expectRefusal(lab, toH2("web"), { exit: 7, says });
    await lab.agent("h1", "start");
    await waitFor(async () => !(await isDown()), { deadlineMs: 120_000, what: "h1 is up" });
  });
});

describe("a drive with a medium that is only read", () => {
  it("is refused by default and carried along when asked; an empty tray never matters", async () => {
    const media = [CDROM("sda", `<source file="${IMAGE_DIR}/installer.iso"/>`), CDROM("sdb")];
    const config = CDROM("sdc", `<source file="${IMAGE_DIR}/config.iso"/>`);
    const options = { name: "media", devices: [...media, config].join("") };
    await bareServer(lab, "h1", options, "--read-only-drives", "carry");
    const says = ["cdrom sda holds read-only media", "need: an empty drive", "fix:  eject it", "cdrom sdc"];
    const { stderr } = await expectMigrationRefused(lab, "media", { exit: 3, says });
    expect(stderr).not.toContain("sdb");

    const carried = await lab.ferry(...toH2("media"), "--read-only-drives", "carry", ...QUICKLY);
    expect(carried).toMatchObject({ code: 0, stdout: expect.stringContaining("media is on h2") });
    const digests = async (host: "h1" | "h2", suffix = "") =>
      (
        await lab.output(host, ["sh", "-c", `cd ${IMAGE_DIR} && sha256sum *.iso${suffix} | cut -d ' ' -f 1`])
      ).trim();
    expect(await digests("h2")).toBe(await digests("h1", "*"));
  });

  it("does not stand in the way when the drive is empty", async () => {
    await bareServer(lab, "h1", { name: "tray", devices: CDROM("sda") });
    expect(await lab.ferry(...toH2("tray"), ...QUICKLY)).toMatchObject({ code: 0 });
  });
});

describe("a server that is being moved", () => {
  it("is refused a second migration, a start and a stop", async () => {
    await bareServer(lab, "h1", { name: "busy" });
    const { code } = await lab.ferry("server", "migrate", "busy", "--host", "h2", "--shutdown-timeout", "20");
    expect(code).toBe(0);
    for (const words of [toH2("busy"), ["server", "start", "busy"], ["server", "stop", "busy"]]) {
      const refused = await lab.ferry(...words);
      expect(refused).toMatchObject({
        code: 4,
        stderr: expect.stringMatching(/Cannot '\w+' instance .* in (task|vm)_state/),
      });
      expect(refused.stderr).toContain("fix:  ferry migration show");
    }
  });

  it("and then awaits a verdict, has to be confirmed or reverted first", async () => {
    const status = async () => (await lab.ferry("server", "show", "busy")).stdout.includes("VERIFY_RESIZE");
    await waitFor(status, { deadlineMs: 120_000, what: "busy awaits its verdict" });
    const says = ["Cannot 'migrate' instance", "vm_state resized", "fix:  ferry server confirm busy"];
    await expectRefusal(lab, ["server", "migrate", "busy", "--wait"], { exit: 4, says });
  });
});

describe("elements of a domain that Ferry does not know", () => {
  it("arrive as they were", async () => {
    const note =
      '<metadata><own:note xmlns:own="urn:own" a="1"><own:line>kept</own:line></own:note></metadata>';
    const sysinfo = `<sysinfo type="smbios"><system><entry name="serial">abc</entry></system></sysinfo>
      <qemu:commandline><qemu:arg value="-name"/><qemu:arg value="strange,debug-threads=on"/></qemu:commandline>`;
    await bareServer(lab, "h1", {
      name: "strange",
      os: '<smbios mode="sysinfo"/>',
      devices: '<panic model="isa"/><watchdog model="i6300esb" action="none"/>',
      elements: note + sysinfo,
    });
    const before = await inactiveXml("h1", "strange");
    expect(await lab.ferry(...toH2("strange"), ...QUICKLY)).toMatchObject({ code: 0 });
    const after = await inactiveXml("h2", "strange");
    expect(after).toContain("<own:line>kept</own:line>");
    const withoutMark = (xml: string) => xml.replace(/<ferry:ferry[\s\S]*<\/ferry:ferry>/, "");
    expect(canonicalXml(withoutMark(after))).toBe(canonicalXml(withoutMark(before)));
  });
});
