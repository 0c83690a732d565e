import { describe, expect, it } from "vitest";
import { type Inspection, type ManageRules, whyUnmanageable } from "../../../agent/domain/unmanageable.js";
import {
  definedAfterStartXml,
  definedLiveXml,
  definedXml,
  edit,
  everythingXml,
  hotplugXml,
  inactiveXml,
  liveXml,
  UUID,
} from "./fixtures.js";

const running: Inspection = {
  summary: {
    uuid: UUID,
    name: "web-1",
    state: "running",
    stateReason: 1,
    persistent: true,
    autostart: false,
    hasManagedSave: false,
  },
  inactiveXml,
  liveXml,
  snapshotXmls: [],
  checkpointXmls: [],
  jobs: { blockJobs: [], domainJob: false },
};
const off: Inspection = {
  ...running,
  summary: { ...running.summary, state: "shut-off" },
  liveXml: undefined,
};

const rules: ManageRules = {
  imageDirectories: ["/var/lib/libvirt/images"],
  readOnlyDrives: "carry",
  canRecreateSnapshots: true,
  acceptsHostPath: () => true,
  isNamed: () => false,
};

const codes = (inspection: Inspection, changed: Partial<ManageRules> = {}) =>
  whyUnmanageable(inspection, { ...rules, ...changed }).map(({ code }) => code);

const withSummary = (changed: Partial<Inspection["summary"]>): Inspection => ({
  ...off,
  summary: { ...off.summary, ...changed },
});

const ROOT_DRIVER = "type='qcow2' cache='none' discard='unmap'/>";

describe("a domain", () => {
  it("that is running or off, with a CD-ROM that may be carried and an empty one, is manageable", () => {
    expect(whyUnmanageable(running, rules)).toEqual([]);
    expect(whyUnmanageable(off, rules)).toEqual([]);
  });

  it.each([
    ["transient", withSummary({ persistent: false })],
    ["paused", withSummary({ state: "paused" })],
    ["bad-state", withSummary({ state: "crashed" })],
    ["bad-state", withSummary({ state: "pm-suspended" })],
    ["managed-save", withSummary({ hasManagedSave: true })],
    ["block-job", { ...running, jobs: { blockJobs: ["vda"], domainJob: false } }],
    ["domain-job", { ...running, jobs: { blockJobs: [], domainJob: true } }],
    ["checkpoint", { ...off, checkpointXmls: ["<domaincheckpoint><name>c</name></domaincheckpoint>"] }],
    [
      "snapshot",
      {
        ...off,
        snapshotXmls: [
          "<domainsnapshot><name>s</name><disks><disk name='vda' snapshot='external'/></disks></domainsnapshot>",
        ],
      },
    ],
    ["implicit-format", { ...off, inactiveXml: edit(inactiveXml, ROOT_DRIVER, "cache='none'/>") }],
    ["shared-disk", { ...off, inactiveXml: edit(inactiveXml, ROOT_DRIVER, `${ROOT_DRIVER}<shareable/>`) }],
    ["transient-disk", { ...off, inactiveXml: edit(inactiveXml, ROOT_DRIVER, `${ROOT_DRIVER}<transient/>`) }],
    [
      "encrypted-disk",
      { ...off, inactiveXml: edit(inactiveXml, ROOT_DRIVER, `${ROOT_DRIVER}<encryption format='luks'/>`) },
    ],
    [
      "disk-source",
      {
        ...off,
        inactiveXml: edit(
          inactiveXml,
          "<source file='/var/lib/libvirt/images/disk'/>",
          "<source protocol='rbd' name='pool/image'/>",
        ).replace("<disk type='file'", "<disk type='network'"),
      },
    ],
    ["disk-source", { ...off, inactiveXml: edit(inactiveXml, "<disk type='file'", "<disk type='block'") }],
    [
      "interface",
      { ...off, inactiveXml: edit(inactiveXml, "interface type='bridge'", "interface type='direct'") },
    ],
    [
      "secret",
      {
        ...off,
        inactiveXml: edit(
          inactiveXml,
          "<backend type='emulator' version='2.0'/>",
          "<backend type='emulator' version='2.0'><encryption secret='6dd3e4a5-1d76-44ce-961f-f119f5aad935'/></backend>",
        ),
      },
    ],
    [
      "hostdev",
      {
        ...off,
        inactiveXml: edit(inactiveXml, "</devices>", "<hostdev mode='subsystem' type='pci'/></devices>"),
      },
    ],
    [
      "filesystem",
      { ...off, inactiveXml: edit(inactiveXml, "</devices>", "<filesystem type='mount'/></devices>") },
    ],
    ["outside-pools", { ...off, inactiveXml: edit(inactiveXml, "images/disk'", "images/../../disk'") }],
    ["host-path", { ...off, inactiveXml: edit(inactiveXml, "</devices>", "<x y='/etc/z'/></devices>") }],
  ] as const)("is refused as %s", (code, inspection) => {
    const refusals = whyUnmanageable(inspection, rules);
    expect(refusals.map(each => each.code)).toEqual([code]);
    expect(Object.values(refusals[0] ?? {}).every(text => text.length > 0)).toBe(true);
  });

  it("keeps internal snapshots only where they can be re-created", () => {
    const snapshotXmls = ["<domainsnapshot><name>s</name><memory snapshot='no'/></domainsnapshot>"];
    expect(codes({ ...off, snapshotXmls })).toEqual([]);
    expect(codes({ ...off, snapshotXmls }, { canRecreateSnapshots: false })).toEqual(["snapshot"]);
  });

  it("with media in a CD-ROM is refused by default; the empty tray never blocks", () => {
    const refusals = whyUnmanageable(off, { ...rules, readOnlyDrives: "refuse" });
    expect(refusals).toMatchObject([{ code: "read-only-media", have: "/var/lib/libvirt/images/cd.iso" }]);
  });

  it("is asked about every host path that is not a disk", () => {
    const asked: string[] = [];
    const acceptsHostPath: ManageRules["acceptsHostPath"] = ({ class: kind }) => {
      asked.push(kind);
      return kind !== "serial-file";
    };
    expect(codes(off, { acceptsHostPath })).toEqual(["host-path", "host-path", "host-path"]);
    expect(asked).toContain("emulator");
    expect(asked).not.toContain("disk");
  });

  it("with everything in it is refused for each thing, not for the first one", () => {
    const found = new Set(codes({ ...off, inactiveXml: everythingXml }));
    for (const code of ["hostdev", "filesystem", "disk-source", "outside-pools", "host-path"] as const) {
      expect(found).toContain(code);
    }
  });
});

describe("live against inactive", () => {
  const differences = (inactive: string, live: string) =>
    whyUnmanageable({ ...running, inactiveXml: inactive, liveXml: live }, rules).map(
      ({ message }) => message,
    );

  it("a server of ours differs in nothing, before its first start and after it", () => {
    expect(differences(definedXml, definedLiveXml)).toEqual([]);
    expect(differences(definedAfterStartXml, definedLiveXml)).toEqual([]);
  });

  it("a hot-plugged disk is named", () => {
    expect(differences(inactiveXml, hotplugXml)).toEqual([
      "web-1: disk vdd (/var/lib/libvirt/images/hot.raw) differs between the running guest and its definition",
    ]);
  });

  it("a second interface with other details is named by its MAC", () => {
    const nic =
      "<interface type='bridge'><mac address='52:54:00:aa:bb:cc'/><source bridge='br0'/></interface>";
    expect(differences(inactiveXml, edit(liveXml, "</devices>", `${nic}</devices>`))).toEqual([
      expect.stringContaining("interface 52:54:00:aa:bb:cc bridge"),
    ]);
  });

  it("a twin of a device is told from the device", () => {
    const tablet = '<input type="tablet" bus="usb"/></devices>';
    expect(differences(inactiveXml, edit(liveXml, "</devices>", tablet))).toHaveLength(1);
  });

  it("a device that the next start would add is a difference too", () => {
    const watchdog = "<watchdog model='i6300esb' action='reset'/></devices>";
    expect(differences(edit(inactiveXml, "</devices>", watchdog), liveXml)).toHaveLength(1);
  });

  it.each([
    ["ejected media", "<source file='/var/lib/libvirt/images/cd.iso' index='2'/>", ""],
    [
      "another active image after a disk-only snapshot",
      "images/disk' index='5'",
      "images/disk.snap' index='5'",
    ],
    ["another network", "network='lan'", "network='dmz'"],
    ["another bridge", "<source bridge='br0'/>", "<source bridge='br1'/>"],
    ["another number of processors", "current='1'", "current='2'"],
    ["more memory", "<memory unit='KiB'>196608", "<memory unit='KiB'>393216"],
  ])("%s is one difference", (_what, from, to) => {
    expect(differences(inactiveXml, edit(liveXml, from, to))).toHaveLength(1);
  });

  it.each([
    ["a ballooned guest", "<currentMemory unit='KiB'>196608", "<currentMemory unit='KiB'>98304"],
    ["another VNC port", "port='5900'", "port='5901'"],
    ["a connected guest agent", "state='disconnected'", "state='connected'"],
  ])("%s is no difference", (_what, from, to) => {
    expect(differences(inactiveXml, edit(liveXml, from, to))).toEqual([]);
  });
});
