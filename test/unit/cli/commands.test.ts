/** Every command against a controller over real mutual TLS: what is asked, what is shown, how it ends. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { ShowHostResponse } from "../../../proto/gen/ferry/v1/controller.js";
import {
  CopiedFile,
  FileVerdict,
  Flavor,
  Host,
  HostVerdict,
  Migration,
  Server,
  ServerAction,
} from "../../../proto/gen/ferry/v1/model.js";
import {
  Aggregate,
  PlacementFinding,
  PolicyRule,
  ServerGroup,
} from "../../../proto/gen/ferry/v1/placement.js";
import { FakeController } from "./fake-controller.js";

const controller = await FakeController.forThisFile();

/** Without the id under which it is asked. */
const asked = () => {
  const { requestId: _id, ...rest } = (controller.requests.at(-1)?.request ?? {}) as { requestId?: string };
  return rest;
};

const small = Flavor.create({ id: "1", name: "m1.small", vcpus: 1, ramMib: 512, rootGib: 4, swapMib: 64 });
const web = Server.create({
  id: "5f3a",
  name: "web-3",
  host: "h1",
  status: "ACTIVE",
  powerState: "RUNNING",
  flavor: small,
  epoch: 7,
  disks: [
    { targetDev: "vda", role: "root", path: "/srv/a.qcow2", virtualSizeBytes: 4 * 1024 ** 3, mode: "copied" },
  ],
});
const moved = Migration.create({
  id: "42",
  serverId: "5f3a",
  serverName: "web-3",
  type: "migration",
  status: "finished",
  sourceHost: "h1",
  targetHost: "h2",
  steps: [{ name: "release-target", state: "done", startedAtMs: 1, endedAtMs: Date.now() - 7_200_000 }],
});

describe("hosts", () => {
  const h1 = Host.create({
    name: "h1",
    state: "up",
    status: "enabled",
    servers: 3,
    availabilityZone: "nova",
    lastHeartbeatMs: Date.now() - 3000,
    inventories: [
      { resourceClass: "VCPU", total: 8, reserved: 0, allocationRatio: 4, used: 5 },
      { resourceClass: "MEMORY_MB", total: 16_384, reserved: 512, allocationRatio: 1, used: 2048 },
    ],
  });

  it("are listed with what is booked on them", async () => {
    controller.answers.listHosts = async () => ({ hosts: [h1] });
    const { code, out, error } = await controller.ferry("host list");
    expect({ code, error }).toEqual({ code: 0, error: "" });
    expect(out).toMatch(/\| Host\s+\| Status\s+\| State\s+\| Zone\s+\| Servers/);
    expect(out).toMatch(
      /\| h1\s+\| enabled\s+\| up\s+\| nova\s+\|\s+3 \|\s+5 \/ 32 \| 2 GiB \/ 15\.5 GiB \|\s+- \| \d+s ago/,
    );
  });

  it("are listed as JSON with raw numbers and every field", async () => {
    controller.answers.listHosts = async () => ({ hosts: [h1] });
    const { out } = await controller.ferry("host list -o json");
    expect(JSON.parse(out)).toEqual([h1]);
  });

  it("are disabled with a reason and enabled again", async () => {
    controller.answers.setHostStatus = async ({ enabled, reason }) => ({
      host: { ...h1, status: enabled ? "enabled" : "disabled", disabledReason: reason },
    });
    const disabled = await controller.ferry("host disable h1 --reason memory");
    expect(disabled.out).toContain("disabled: memory");
    expect(asked()).toEqual({ name: "h1", enabled: false, reason: "memory" });
    await controller.ferry("host enable h1");
    expect(asked()).toEqual({ name: "h1", enabled: true, reason: "" });
  });

  it("are described by what their agent says now", async () => {
    controller.answers.showHost = async () =>
      ShowHostResponse.create({ host: h1, description: { hostname: "h1.lab" } });
    expect((await controller.ferry("host show h1")).out).toMatch(/hostname\s+\| h1\.lab/);
  });
});

describe("flavors", () => {
  it("are created with the OpenStack client's options", async () => {
    controller.answers.createFlavor = async ({ flavor }) => ({ flavor });
    const words =
      "flavor create m1.small --vcpus 1 --ram 512 --disk 4 --swap 64 --property hw:cpu_policy=dedicated --property a=b=c";
    expect((await controller.ferry(words)).code).toBe(0);
    expect(asked()).toEqual({
      flavor: { ...small, id: "", extraSpecs: { "hw:cpu_policy": "dedicated", a: "b=c" } },
    });
  });

  it("are listed, shown and deleted", async () => {
    controller.answers.listFlavors = async () => ({ flavors: [small] });
    controller.answers.showFlavor = async () => ({ flavor: small });
    controller.answers.deleteFlavor = async () => ({});
    expect((await controller.ferry("flavor list")).out).toContain("512 MiB");
    expect((await controller.ferry("flavor show m1.small")).out).toContain("4 GiB");
    expect((await controller.ferry("flavor delete m1.small")).out).toBe("flavor m1.small deleted\n");
  });
});

describe("servers", () => {
  it("are created from a flavor and an image", async () => {
    controller.answers.createServer = async () => ({ server: web });
    const file = join(controller.certificates.folder, "user-data");
    writeFileSync(file, "#cloud-config\n");
    const words = `server create web-3 --flavor m1.small --image /i.qcow2 --image-format qcow2 --nic bridge=br0 --nic network=default,mac=52:54:00:AA:00:01 --config-drive openstack/user_data=${file}`;
    expect((await controller.ferry(words)).code).toBe(0);
    expect(asked()).toEqual({
      name: "web-3",
      flavor: "m1.small",
      imagePath: "/i.qcow2",
      imageFormat: "qcow2",
      host: "",
      interfaces: [
        { type: "bridge", source: "br0", mac: "" },
        { type: "network", source: "default", mac: "52:54:00:aa:00:01" },
      ],
      firmware: "bios",
      vtpm: false,
      rootMode: "overlay",
      configDrive: { "openstack/user_data": readFileSync(file) },
      start: true,
      maxDowntimeSeconds: 0,
      project: "",
      noWait: false,
      availabilityZone: "",
      schedulerHints: undefined,
      imageProperties: {},
    });
  });

  it("are not created from an image whose format is not named", async () => {
    const { code, error } = await controller.ferry("server create a --flavor f --image /i");
    expect({ code, requests: controller.requests.length }).toEqual({ code: 2, requests: 0 });
    expect(error).toContain("--image-format");
  });

  it("are listed, shown, started and stopped", async () => {
    controller.answers.listServers = async () => ({ servers: [web] });
    controller.answers.showServer = async () => ({ server: web });
    controller.answers.startServer = async () => ({ server: web });
    controller.answers.stopServer = async () => ({ server: web, note: "guest ignored ACPI: destroyed" });
    expect((await controller.ferry("server list --host h1")).out).toMatch(/5f3a \| web-3 \| ACTIVE \| -/);
    expect(asked()).toEqual({ host: "h1", status: "" });
    expect((await controller.ferry("server show web-3")).out).toContain(
      "m1.small (1 vcpu, 512 MiB, root 4 GiB, swap 64 MiB)",
    );
    expect((await controller.ferry("server start web-3")).code).toBe(0);
    expect((await controller.ferry("server stop web-3 --shutdown-timeout 5")).error).toContain(
      "ignored ACPI",
    );
    expect(asked()).toEqual({ server: "web-3", timeoutSeconds: 5, noWait: false });
  });

  it("tell what was asked of them, one line per event", async () => {
    const action = ServerAction.create({
      requestId: "req-7",
      action: "migrate",
      requestedBy: "user/ada",
      startedAtMs: 1,
      events: [
        { event: "cold_migrate", startedAtMs: 1, finishedAtMs: 1001, result: "Success" },
        {
          event: "compute_prep_resize",
          host: "h2",
          startedAtMs: 1001,
          finishedAtMs: 1500,
          details: "no room",
        },
      ],
    });
    controller.answers.listServerActions = async () => ({ actions: [action] });
    const { out } = await controller.ferry("server events web-3");
    expect(out).toMatch(/req-7 +\| migrate \| user\/ada .* cold_migrate +\| - +\| +1s \| Success/);
    expect(out).toMatch(/\| +\| +\| +\| .* compute_prep_resize \| h2 .* no room/);
  });

  it("are locked with a reason, unlocked, and declared in error", async () => {
    for (const method of ["lockServer", "unlockServer", "resetServerState"] as const)
      controller.answers[method] = async () => ({ server: web });
    expect((await controller.ferry("server lock web-3 --reason audit")).out).toBe("web-3 is locked\n");
    expect(asked()).toEqual({ server: "web-3", reason: "audit" });
    expect((await controller.ferry("server unlock web-3")).code).toBe(0);
    expect((await controller.ferry("server reset-state web-3")).out).toBe("web-3 is declared error\n");
    expect(asked()).toEqual({ server: "web-3", state: "error" });
    expect(await controller.ferry("server reset-state web-3 --state paused")).toMatchObject({ code: 2 });
  });

  it("are deleted only when it is meant", async () => {
    controller.answers.deleteServer = async () => ({});
    expect(await controller.ferry("server delete web-3")).toMatchObject({ code: 2 });
    expect(await controller.ferry("server delete web-3", { answers: ["n"] })).toMatchObject({ code: 5 });
    expect(controller.requests).toEqual([]);
    expect((await controller.ferry("server delete web-3", { answers: ["y"] })).code).toBe(0);
    expect((await controller.ferry("server delete web-3 --yes")).questions).toEqual([]);
  });

  it("are adopted with the disks that the operator names, and refusals end with their exit code", async () => {
    controller.answers.adoptServer = async () => ({
      server: undefined,
      suggestions: ["vdc carries a swap signature: --swap-disk vdc"],
      refusals: [
        {
          code: "refused",
          message: "a block job runs on vda",
          have: "mirror",
          need: "none",
          fix: "virsh blockjob --abort",
          host: "h1",
        },
      ],
    });
    const ran = await controller.ferry("server adopt web-3 --host h1 --swap-disk vdc --dry-run");
    expect(ran.code).toBe(3);
    expect(ran.out).toContain("suggestion: vdc carries");
    expect(ran.error).toBe(
      "refused: a block job runs on vda\n  host: h1\n  have: mirror\n  need: none\n  fix:  virsh blockjob --abort\n",
    );
    expect(asked()).toMatchObject({
      domain: "web-3",
      swapDisks: ["vdc"],
      dryRun: true,
      readOnlyDrives: "refuse",
    });
  });
});

describe("a check", () => {
  const ok = {
    name: "memory",
    outcome: "ok",
    informational: false,
    source: "/proc/meminfo",
    reasons: [],
    liveOutcome: "ok",
    liveReasons: [],
  };
  const reason = {
    code: "refused",
    message: "too old",
    have: "6.2.0",
    need: "7.2.0",
    fix: "upgrade",
    host: "",
  };
  const note = { ...ok, name: "qemu-version", outcome: "refused", informational: true, reasons: [reason] };
  const refused = { ...ok, outcome: "unknown", reasons: [{ ...reason, message: "not known" }] };
  const estimate = { bytes: 3 * 1024 ** 3, bytesPerSecond: 1024 ** 3, copySeconds: 3, unknown: "" };
  const h2 = { host: "h2", ok: true, checks: [ok, note], estimate };
  const unmeasured = { bytes: 1024, bytesPerSecond: undefined, copySeconds: undefined, unknown: "not asked" };
  const h3 = { host: "h3", ok: false, checks: [refused], estimate: unmeasured };

  it("shows hosts by checks with reasons, notes as notes, and what the copy would take", async () => {
    controller.answers.checkServer = async () => ({ refusals: [], hosts: [h2, h3] });
    const { code, out } = await controller.ferry("server check web-3 --read-only-drives carry");
    const question = { server: "web-3", host: "", readOnlyDrives: "carry", networkMap: {} };
    expect(asked()).toEqual({ ...question, blockDisks: "refuse" });
    expect(code).toBe(0);
    expect(out).toMatch(/\| h2\s+\| memory\s+\| ok\s+\|/);
    expect(out).toMatch(
      /\| h2\s+\| qemu-version\s+\| note\s+\| too old\s+\| 6\.2\.0\s+\| 7\.2\.0\s+\| upgrade/,
    );
    expect(out).toMatch(/\| h3\s+\| memory\s+\| unknown\s+\| not known/);
    expect(out).toContain("h2: possible; 3 GiB to copy, about 3s at 1 GiB/s");
    expect(out).toContain("h3: not possible; 1 KiB to copy, in unknown time (not asked)");
  });

  it("says beside it what moving the guest live would stumble over", async () => {
    const device = { ...reason, message: "a device does not move" };
    const cold = { ...ok, name: "pci-devices", liveOutcome: "refused", liveReasons: [device] };
    controller.answers.checkServer = async () => ({ refusals: [], hosts: [{ ...h2, checks: [cold] }] });
    const { code, out } = await controller.ferry("server check web-3 --live");
    expect(code).toBe(3);
    expect(out).toMatch(/\| h2\s+\| pci-devices\s+\| ok\s+\| refused\s+\| a device does not move/);
    expect(out).toContain("h2: possible, live not possible;");
  });

  it("ends with 3 when no host could take it, and shows the source's own refusals first", async () => {
    controller.answers.checkServer = async () => ({ refusals: [], hosts: [h3] });
    expect((await controller.ferry("server check web-3 --host h3 -o json")).code).toBe(3);
    controller.answers.checkServer = async () => ({ refusals: [reason], hosts: [] });
    const { code, out } = await controller.ferry("server check web-3");
    expect(code).toBe(3);
    expect(out).toMatch(/Source refuses.*too old/s);
  });
});

describe("a dry run", () => {
  const verdicts = [
    HostVerdict.create({ host: "h2", ok: true, weight: 1.5 }),
    HostVerdict.create({
      host: "h3",
      reasons: [
        {
          code: "refused",
          message: "not enough memory",
          have: "100 MiB",
          need: "512 MiB",
          fix: "another flavor",
        },
        { code: "refused", message: "no bridge br0", fix: "create br0" },
      ],
      refusedBy: ["placement", "ComputeFilter"],
    }),
  ];

  it("shows every host with its reasons", async () => {
    controller.answers.migrateServer = async () => ({ migration: undefined, verdicts });
    const { code, out } = await controller.ferry("server migrate web-3 --dry-run");
    expect(code).toBe(0);
    expect(out).toMatch(/\| h2\s+\| yes\s+\|\s+1\.50 \|/);
    expect(out).toMatch(
      /\| h3\s+\| no\s+\|\s+- \| placement\s+\| not enough memory \| 100 MiB \| 512 MiB \| another flavor/,
    );
    expect(out).toMatch(/\|\s+\|\s+\|\s+\| ComputeFilter \| no bridge br0/);
  });

  it("fails when no host could take the server", async () => {
    controller.answers.migrateServer = async () => ({ migration: undefined, verdicts: verdicts.slice(1) });
    const { code, out } = await controller.ferry("server migrate web-3 --dry-run -o json");
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject([{ host: "h3", ok: false }]);
  });
});

describe("a resize", () => {
  it("asks for another flavor, and for no host", async () => {
    controller.answers.resizeServer = async () => ({ migration: { ...moved, type: "resize" }, verdicts: [] });
    const { code } = await controller.ferry(
      "server resize web-3 --flavor m1.large --shutdown-timeout 5 --graceful-only --priority 3",
    );
    expect(code).toBe(0);
    expect(asked()).toEqual({
      server: "web-3",
      flavor: "m1.large",
      dryRun: false,
      shutdownTimeoutSeconds: 5,
      priority: 3,
      gracefulOnly: true,
      readOnlyDrives: "refuse",
      networkMap: {},
      blockDisks: "refuse",
    });
    expect(await controller.ferry("server resize web-3")).toMatchObject({ code: 2 });
    expect(await controller.ferry("server resize web-3 --flavor f --host h2")).toMatchObject({ code: 2 });
  });
});

describe("a migration by force", () => {
  it("says so, with the host that it is about", async () => {
    controller.answers.migrateServer = async () => ({ migration: moved, verdicts: [] });
    expect(await controller.ferry("server migrate web-3 --host h2 --force")).toMatchObject({ code: 0 });
    expect(asked()).toMatchObject({ host: "h2", force: true });
  });
});

describe("a migration to another format", () => {
  it("says which, and refuses one that is not known", async () => {
    controller.answers.migrateServer = async () => ({ migration: moved, verdicts: [] });
    expect(await controller.ferry("server migrate web-3 --disk-format raw")).toMatchObject({ code: 0 });
    expect(asked()).toMatchObject({ diskFormat: "raw" });
    expect(await controller.ferry("server migrate web-3 --disk-format vmdk")).toMatchObject({ code: 2 });
  });
});

describe("a migration whose disk data is to be compressed or not", () => {
  it("says so, and leaves it to the source otherwise", async () => {
    controller.answers.migrateServer = async () => ({ migration: moved, verdicts: [] });
    expect(await controller.ferry("server migrate web-3 --compression off")).toMatchObject({ code: 0 });
    expect(asked()).toMatchObject({ compression: "off" });
    expect(await controller.ferry("server migrate web-3")).toMatchObject({ code: 0 });
    expect(asked()).toMatchObject({ compression: undefined });
    expect(await controller.ferry("server migrate web-3 --compression lz4")).toMatchObject({ code: 2 });
  });
});

describe("a server on block devices of its host alone", () => {
  it("is taken along as files where a person says so, and checked so", async () => {
    controller.answers.migrateServer = async () => ({ migration: moved, verdicts: [] });
    controller.answers.checkServer = async () => ({ refusals: [], hosts: [] });
    for (const command of ["migrate", "check"]) {
      await controller.ferry(`server ${command} web-3 --block-disks copy`);
      expect(asked()).toMatchObject({ blockDisks: "copy" });
    }
    expect(await controller.ferry("server migrate web-3 --block-disks move")).toMatchObject({ code: 2 });
  });
});

describe("a migration to a host that calls its networks otherwise", () => {
  it("says so, for every target or for one, and refuses what is no such map", async () => {
    controller.answers.migrateServer = async () => ({ migration: moved, verdicts: [] });
    const map = "--network-map bridge:br0=br1 --network-map h2/network:lan=office";
    expect(await controller.ferry(`server migrate web-3 ${map}`)).toMatchObject({ code: 0 });
    expect(asked()).toMatchObject({ networkMap: { "bridge:br0": "br1", "h2/network:lan": "office" } });
    const { code, error } = await controller.ferry("server migrate web-3 --network-map br0=br1");
    expect([code, error]).toEqual([2, expect.stringContaining("Must be [HOST/]bridge:NAME=NAME")]);
  });
});

describe("a revert", () => {
  beforeEach(() => {
    controller.answers.showServer = async () => ({ server: { ...web, host: "h2", migrationId: "42" } });
    controller.answers.showMigration = async () => ({ migration: moved });
    controller.answers.revertServer = async () => ({ migration: { ...moved, status: "reverting" } });
  });
  const methods = () => controller.requests.map(({ method }) => method);

  it("says which writes will be lost, asks, and does nothing without a yes", async () => {
    const { code, error, questions } = await controller.ferry("server revert web-3", { answers: [""] });
    expect(error).toContain("LOST: everything written on h2 since");
    expect(error).toContain("(2h ago) to vda (root)");
    expect(questions).toEqual(["Revert web-3? [y/N] "]);
    expect({ code, methods: methods() }).toEqual({ code: 5, methods: ["showServer", "showMigration"] });
  });

  it("goes ahead after a yes, by the ids of server and migration", async () => {
    expect((await controller.ferry("server revert web-3", { answers: ["yes"] })).code).toBe(0);
    expect(asked()).toEqual({ server: "5f3a", discardWrites: true, migration: "42" });
  });

  it("needs --yes where nobody can be asked, and warns even then", async () => {
    const silent = await controller.ferry("server revert web-3");
    expect(silent).toMatchObject({ code: 2, error: expect.stringContaining("say --yes") });
    expect(methods()).not.toContain("revertServer");
    const meant = await controller.ferry("server revert web-3 --yes");
    expect(meant).toMatchObject({ code: 0, error: expect.stringContaining("LOST:") });
  });

  it("is refused before the question when there is nothing to revert", async () => {
    controller.answers.showServer = async () => ({ server: web });
    expect(await controller.ferry("server revert web-3 --yes")).toMatchObject({ code: 4 });
  });
});

describe("migrations", () => {
  it("are listed and shown with steps and receipt", async () => {
    const receipt = [
      {
        id: "vda/0",
        path: "/p",
        mode: "copied",
        sizeBytes: 2048,
        dataBytes: 1024,
        algorithm: "blake3",
        digest: "ab".repeat(32),
        readBack: "direct-local",
        changes: [
          {
            tool: "qemu-img resize",
            version: "7.2.22",
            sizeBeforeBytes: 1024,
            sizeAfterBytes: 2048,
            digestBefore: "cd".repeat(32),
            holds: "content up to 1024 bytes unchanged: sha256 ef",
          },
        ],
        atMs: 1000,
      },
    ];
    controller.answers.listMigrations = async () => ({ migrations: [moved] });
    controller.answers.showMigration = async () => ({ migration: { ...moved, receipt, downtimeMs: 4200 } });
    expect((await controller.ferry("migration list --status finished")).out).toMatch(
      /\| 42 \| web-3\s+\| migration \| finished \| h1\s+\| h2/,
    );
    expect(asked()).toEqual({ server: "", status: "finished", host: "", limit: 100 });
    const { out } = await controller.ferry("migration show 42");
    expect(out).toMatch(/downtime\s+\| 4\.2s/);
    expect(out).toMatch(/release-target \| done/);
    expect(out).toMatch(/vda\/0 \| copied \| 2 KiB \| 1 KiB \| blake3:abab/);
    expect(out).toMatch(/vda\/0 \| qemu-img resize 7\.2\.22 \|\s+1 KiB \| 2 KiB \| content up to 1024 bytes/);
  });

  it("are shown with who decided what about them, and when", async () => {
    const actions = [
      { action: "migrate", requestedBy: "user/ada", startedAtMs: 1 },
      { action: "cancelMigration", requestedBy: "user/bob", startedAtMs: Date.UTC(2026, 0, 1) },
    ].map(action => ServerAction.create(action));
    controller.answers.showMigration = async () => ({ migration: { ...moved, actions } });
    const { out } = await controller.ferry("migration show 42");
    expect(out).toMatch(/cancelled by\s+\| user\/bob, 2026-01-01 00:00:00 UTC/);
    expect(out).not.toContain("migrate by");
  });

  it("are limited while they go on, in any of the usual units", async () => {
    controller.answers.setMigration = async () => ({ migration: moved });
    for (const [rate, bytes] of [
      ["50M", 50 * 1024 ** 2],
      ["1.5GiB/s", 1.5 * 1024 ** 3],
      ["400mbit", 50_000_000],
      ["none", 0],
    ] as const) {
      expect(await controller.ferry(`migration set 42 --bwlimit ${rate}`)).toMatchObject({ code: 0 });
      expect(asked()).toEqual({ id: "42", bandwidthBytesPerSecond: bytes });
    }
    for (const rate of ["50", "M", "-1M", "0M", "fast"])
      expect(await controller.ferry(`migration set 42 --bwlimit ${rate}`)).toMatchObject({ code: 2 });
  });

  it("have their receipt verified, by their id or by one that was kept", async () => {
    const file = CopiedFile.create({ id: "vda/0", path: "/p", algorithm: "sha256", digest: "ab".repeat(32) });
    const outcomes = ["equal", "equal"];
    controller.answers.verifyReceipt = async function* () {
      for (const outcome of outcomes)
        yield { host: "h2", verdict: FileVerdict.create({ id: "vda/0", path: "/p", outcome }) };
    };
    const equal = await controller.ferry("verify 42");
    expect(asked()).toEqual({ id: "42", files: [] });
    expect(equal).toMatchObject({ code: 0, out: expect.stringContaining("2 files on h2 equal the receipt") });
    outcomes[1] = "in-use";
    expect(await controller.ferry("verify 42")).toMatchObject({ code: 3 });
    outcomes[0] = "differs";
    const wrong = await controller.ferry("verify 42");
    expect(wrong).toMatchObject({ code: 5, out: expect.stringContaining("NOT as received: 1 file on h2") });

    const kept = join(controller.certificates.folder, "receipt.json");
    writeFileSync(kept, JSON.stringify({ id: "7", receipt: [CopiedFile.toJSON(file)] }));
    await controller.ferry(`verify ${kept} -o json`);
    expect(asked()).toEqual({ id: "7", files: [file] });
    writeFileSync(kept, "{}");
    expect(await controller.ferry(`verify ${kept}`)).toMatchObject({ code: 2 });
  });

  it("are recovered by a plan first", async () => {
    const stuck = { ...moved, status: "stuck" };
    controller.answers.recoverMigration = async () => ({
      migration: stuck,
      findings: ["h2 is down"],
      plan: ["wait for h2"],
    });
    const planned = await controller.ferry("migration recover 42 --plan");
    expect(planned).toMatchObject({
      code: 0,
      out: expect.stringMatching(/h2 is down[\s\S]*1 \| wait for h2/),
    });
    expect(asked()).toEqual({ id: "42", planOnly: true, fencedHost: "", reason: "" });
    expect((await controller.ferry("migration recover 42")).code).toBe(6);
  });

  it("are cancelled", async () => {
    controller.answers.cancelMigration = async () => ({ migration: { ...moved, direction: "unwinding" } });
    expect((await controller.ferry("migration cancel 42")).out).toContain("unwinding");
  });
});

describe("where servers may be", () => {
  const aggregate = Aggregate.create({ id: 1, name: "fast", availabilityZone: "east", hosts: ["h1"] });

  it("is said with the OpenStack client's words for aggregates", async () => {
    controller.answers.createAggregate = async () => ({ aggregate });
    await controller.ferry("aggregate create fast --zone east --property ssd=true");
    expect(asked()).toEqual({ name: "fast", availabilityZone: "east", metadata: { ssd: "true" } });
    controller.answers.addAggregateHost = async () => ({ aggregate });
    expect((await controller.ferry("aggregate add host fast h1")).out).toMatch(/hosts\s+\| h1/);
    expect(asked()).toEqual({ aggregate: "fast", host: "h1" });
  });

  it("is changed in one go, metadata included", async () => {
    controller.answers.updateAggregate = async () => ({ aggregate });
    controller.answers.setAggregateMetadata = async () => ({ aggregate });
    await controller.ferry("aggregate set fast --name faster --property a=b --unset c");
    expect(controller.requests.map(({ request }) => request)).toEqual([
      { aggregate: "fast", name: "faster", availabilityZone: undefined },
      { aggregate: "1", set: { a: "b" }, unset: ["c"] },
    ]);
  });

  it("is said of a host: its zone and its traits", async () => {
    controller.answers.setHostPlacement = async () => ({ host: Host.create({ name: "h1" }) });
    await controller.ferry(
      "host set h1 --zone east --trait CUSTOM_A --trait CUSTOM_B --unset-trait CUSTOM_C",
    );
    expect(asked()).toEqual({
      host: "h1",
      addTraits: ["CUSTOM_A", "CUSTOM_B"],
      removeTraits: ["CUSTOM_C"],
      availabilityZone: "east",
    });
  });

  it("is said of servers: groups", async () => {
    const group = ServerGroup.create({ id: "g", name: "db", policy: "anti-affinity", maxServerPerHost: 2 });
    controller.answers.createServerGroup = async () => ({ group });
    const { out } = await controller.ferry("group create db --policy anti-affinity --max-server-per-host 2");
    expect(out).toMatch(/anti-affinity, at most 2 on a host/);
    expect((await controller.ferry("group create db --policy near")).code).toBe(2);
  });

  it("is asked for when a server is made, and a hint that does not exist is refused", async () => {
    controller.answers.createServer = async () => ({ server: web });
    const words = "server create web-3 --flavor m1.small --image /i.raw --image-format raw";
    await controller.ferry(`${words} --availability-zone east --hint group=db --hint different_host=a,b`);
    expect(asked()).toMatchObject({
      availabilityZone: "east",
      schedulerHints: { group: "db", sameHost: [], differentHost: ["a", "b"] },
    });
    expect((await controller.ferry(`${words} --hint near=db`)).code).toBe(2);
  });
});

describe("an audit of the bookings", () => {
  const finding = { kind: "orphaned", consumer: "x", host: "h1", have: "VCPU 1 on h1", need: "nothing" };

  it("fails while something is left to correct", async () => {
    controller.answers.auditPlacement = async ({ heal }) => ({
      findings: [PlacementFinding.create({ ...finding, healed: heal })],
    });
    expect((await controller.ferry("placement audit")).code).toBe(3);
    expect((await controller.ferry("placement audit --heal")).code).toBe(0);
  });
});

it("the rules are shown with what they need and whether one has it", async () => {
  const rule = { name: "os_compute_api:servers:resize", role: "member", defaultRole: "member" };
  const methods = ["ferry.v1.ServerService/ResizeServer"];
  controller.answers.listPolicyRules = async () => ({
    rules: [PolicyRule.create({ ...rule, methods, owner: true, allowed: true })],
  });
  expect((await controller.ferry("policy show")).out).toMatch(/member, own servers .* yes .* ResizeServer/);
});
