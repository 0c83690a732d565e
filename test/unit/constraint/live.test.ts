/** What stands in the way of a move of the running guest, beside what stops a cold one. */

import { beforeAll, describe, expect, it } from "vitest";
import type { TargetFacts, TargetHost } from "../../../agent/constraint/target-facts.js";
import type { SourceManifest } from "../../../proto/gen/ferry/v1/agent.js";
import { ManifestFile } from "../../../proto/gen/ferry/v1/agent.js";
import { capturedHost, domainXml, factsOn, manifestFrom, needsOf, resultOf } from "./hosts.js";

let host: TargetHost;
beforeAll(async () => {
  host = await capturedHost("numa2-hugepages");
});

const judge = (name: string, facts: TargetFacts, manifest: SourceManifest) => {
  const { outcome, liveOutcome, liveReasons } = resultOf(name, facts, manifest);
  return { cold: outcome, live: liveOutcome, says: liveReasons.map(({ message }) => message).join("; ") };
};
const from = (change: Partial<SourceManifest> = {}, parts = {}): SourceManifest => ({
  ...manifestFrom(host),
  powerState: "RUNNING",
  domainXml: domainXml(parts),
  ...change,
});

describe("a guest that moves live", () => {
  it("runs", () => {
    expect(judge("running", factsOn(host), from())).toMatchObject({ cold: "ok", live: "ok" });
    expect(judge("running", factsOn(host), from({ powerState: "SHUTDOWN" }))).toMatchObject({
      cold: "ok",
      live: "refused",
    });
  });

  it("has no media and no drive that a block migration leaves out", () => {
    const media = ManifestFile.fromPartial({ id: "sda/0", kind: "media", path: "/iso/a.iso" });
    expect(judge("local-disks", factsOn(host), from({ files: [media] })).says).toMatch(/sda\/0 is a CD-ROM/);
    const iso =
      '<disk type="file" device="cdrom"><source file="/a/disk.config"/><target dev="sdb"/><readonly/></disk>';
    expect(judge("local-disks", factsOn(host), from({}, { devices: iso })).says).toMatch(/sdb is a CD-ROM/);
    expect(judge("local-disks", factsOn(host), from()).live).toBe("ok");
  });

  it("has not too much on its local disks", () => {
    expect(judge("local-disks", factsOn(host), from({ dataBytes: 200 * 1024 ** 3 }))).toMatchObject({
      cold: "ok",
      live: "refused",
    });
  });

  it("has no device that is passed through; macvtap may stay", () => {
    const hostdev =
      '<hostdev mode="subsystem" type="pci"><source><address domain="0" bus="0x81" slot="0" function="1"/></source></hostdev>';
    expect(judge("pci-devices", factsOn(host), from({}, { devices: hostdev }))).toMatchObject({
      cold: "ok",
      live: "refused",
    });
    const macvtap = '<interface type="direct"><source dev="ens1f0v1" mode="passthrough"/></interface>';
    expect(judge("pci-devices", factsOn(host), from({}, { devices: macvtap })).live).toBe("ok");
  });

  it("keeps its page size", () => {
    const pages = "<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking>";
    const onPages = factsOn(host, needsOf({ parts: pages }));
    expect(judge("numa-fit", onPages, from({}, { parts: pages })).live).toBe("ok");
    expect(judge("numa-fit", onPages, from())).toMatchObject({ cold: "ok", live: "refused" });
  });

  it("is no SEV guest", () => {
    const parts = '<launchSecurity type="sev"><policy>0x1</policy></launchSecurity>';
    const facts = factsOn(host, needsOf({ parts }));
    const { support } = facts;
    if (support === undefined) throw new Error("no support was recorded");
    const able = { ...facts, support: { ...support, launchSecurities: ["sev"] } };
    expect(judge("encrypted-memory", able, from())).toMatchObject({ cold: "ok", live: "refused" });
  });

  it("does not go to an older QEMU, nor to another cell whatever the policy", () => {
    const older = { ...factsOn(host), host: { ...host, versions: { libvirt: 9_000_000, qemu: 6_000_000 } } };
    expect(judge("qemu-version", older, from())).toMatchObject({ cold: "refused", live: "refused" });
    const across = { ...factsOn(host), cell: "cell-2", crossCell: true };
    expect(judge("cell", across, from())).toMatchObject({ cold: "ok", live: "refused" });
    const old = { ...factsOn(host), host: { ...host, versions: { libvirt: 8_000_000, qemu: 7_002_022 } } };
    expect(judge("libvirt-version", old, from())).toMatchObject({ cold: "refused", live: "ok" });
  });
});
