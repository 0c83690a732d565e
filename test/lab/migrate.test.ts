/**
 * Servers of every kind that `server create` makes move to another host and stay there. What the receipt says is held
 * against digests that another program computed, and the guest proves its own data.
 */

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findOpeners } from "../../agent/disk/process-watch.js";
import { CheckServerResponse } from "../../proto/gen/ferry/v1/controller.js";
import type { FileVerdict, Host as KnownHost } from "../../proto/gen/ferry/v1/model.js";
import { bareGuest } from "./bare-guest.js";
import { type Host, type Lab, PATIENCE_MS, waitFor } from "./lab.js";
import { LabServer } from "./lab-server.js";
import {
  BASE_IMAGE,
  bootOf,
  confirm,
  createServer,
  ferry,
  fleetUp,
  IMAGES,
  migrate,
  migrationOf,
  revert,
  serverOf,
} from "./support/fleet.js";
import {
  allocatedBytes,
  definitionOf,
  digestsOf,
  domainsOn,
  filesOn,
  swapFacts,
} from "./support/host-files.js";

const run = promisify(execFile);
const MIB = 1024 ** 2;
const CONFIG_FILE = "/run/shared/ferry-lab.conf";
const VERDICTS = /(MARKER|EPH)-(\S+) \S+ boots=(\d+) id=\S+/g;

const verdicts = (boot: string): string[] =>
  [...boot.matchAll(VERDICTS)].map(([, disk, verdict, boots]) => `${disk}-${verdict} ${boots}`);
const configDriveOf = (boot: string): string | undefined => /CONFIG-DRIVE .* sha256=\S+/.exec(boot)?.[0];

let lab: Lab;

/** Its network has another name on each host. */
const MAC = "52:54:00:0a:0b:0c";
const idleOptions = [
  "--config-drive",
  `ferry-lab.conf=${CONFIG_FILE}`,
  "--no-start",
  "--nic",
  `bridge=br-one,mac=${MAC}`,
];

beforeAll(async () => {
  lab = await fleetUp({ id: "migrate", hosts: 2 });
  await lab.output("h1", ["ip", "link", "add", "br-one", "type", "bridge"]);
  await lab.output("h2", ["ip", "link", "add", "br-two", "type", "bridge"]);
  await writeFile(lab.path("ctl", CONFIG_FILE), "lab.blobmb=8\n");
  await Promise.all([
    createServer(lab, "web", "--config-drive", `ferry-lab.conf=${CONFIG_FILE}`),
    createServer(lab, "idle", ...idleOptions),
    createServer(lab, "plain", "--root-mode", "copy"),
    createServer(lab, "secure", "--firmware", "efi", "--vtpm", "--no-start"),
  ]);
  await Promise.all(["web", "plain"].map(name => bootOf(lab, "h1", name, 1)));
});
afterAll(() => lab.down());

describe("a check", () => {
  it("finds room for each of them on the other host, measures the path, and leaves nothing there", async () => {
    for (const name of ["web", "idle", "plain", "secure"]) {
      const map = ["--network-map", "h2/bridge:br-one=br-two"];
      const finished = await lab.ferry("-o", "json", "server", "check", name, ...map);
      const { refusals, hosts } = CheckServerResponse.fromJSON(JSON.parse(finished.stdout));
      const objections = hosts.flatMap(({ checks }) => checks.flatMap(({ reasons }) => reasons));
      expect({ name, refusals, objections }).toEqual({ name, refusals: [], objections: [] });
      expect(hosts.map(({ host, ok }) => ({ host, ok }))).toEqual([{ host: "h2", ok: true }]);
      expect(hosts[0]?.estimate?.copySeconds).toBeGreaterThan(0);
    }
    expect(await domainsOn(lab, "h2")).toEqual([]);
    expect(await filesOn(lab, "h2")).toEqual([]);
  });
});

describe("a running server with an overlay, an ephemeral, a swap disk and a config drive", () => {
  it("moves over the migration network, with all that it is, and leaves nothing behind", async () => {
    const disks = ["disk", "disk.eph0", "disk.config"].map(file => `${IMAGES}/web/${file}`);
    const before = await Promise.all([
      definitionOf(lab, "h1", "web"),
      swapFacts(lab, "h1", `${IMAGES}/web/disk.swap`),
    ]);
    const firstBoot = await lab.console("h1", "web");
    const cables = () => Promise.all([lab.linkCounters("h1", "mig0"), lab.linkCounters("h1", "eth0")]);
    const [migrationBefore, managementBefore] = await cables();

    const migration = await migrate(lab, "web", "h2");

    const [migrationAfter, managementAfter] = await cables();
    const copied = migration.receipt.filter(({ mode }) => mode === "copied");
    const dataBytes = copied.reduce((sum, file) => sum + file.dataBytes, 0);
    expect(dataBytes).toBeGreaterThan(24 * MIB);
    // Zeros at either end of a leaf are not sent, nor are the holes of two disks of 1 GiB.
    const sentBytes = migrationAfter.sentBytes - migrationBefore.sentBytes;
    expect(sentBytes).toBeGreaterThan(dataBytes * 0.9);
    expect(sentBytes).toBeLessThan(dataBytes * 1.2);
    expect(managementAfter.sentBytes - managementBefore.sentBytes).toBeLessThan(MIB);

    // The fenced originals are what the receipt says.
    expect(migration.receipt.map(({ path, mode }) => `${path} ${mode}`).toSorted()).toEqual([
      `${BASE_IMAGE} copied`,
      ...["disk copied", "disk.config copied", "disk.eph0 copied", "disk.swap re-created"].map(
        file => `${IMAGES}/web/${file}`,
      ),
    ]);
    const originals = copied.map(({ path }) =>
      path === BASE_IMAGE ? path : `${path}.fenced-${migration.id}`,
    );
    expect(await digestsOf(lab, "h1", originals)).toEqual(copied.map(({ digest }) => digest));
    for (const { algorithm, readBack } of copied) {
      expect(algorithm).toBe("blake3");
      expect(["direct-local", "remote-server", "cache"]).toContain(readBack);
    }

    const secondBoot = await bootOf(lab, "h2", "web", 2);
    expect(verdicts(firstBoot)).toEqual(["MARKER-NEW 1", "EPH-NEW 1"]);
    expect(verdicts(secondBoot)).toEqual(["MARKER-OK 2", "EPH-OK 2"]);
    expect(configDriveOf(secondBoot)).toBe(configDriveOf(firstBoot));
    expect(configDriveOf(secondBoot)).toContain("type=vfat");
    expect(
      await Promise.all([definitionOf(lab, "h2", "web"), swapFacts(lab, "h2", `${IMAGES}/web/disk.swap`)]),
    ).toEqual(before);
    for (const disk of disks) {
      expect(await allocatedBytes(lab, "h2", disk)).toBeLessThan(24 * MIB);
    }

    await confirm(lab, "web");
    expect(await serverOf(lab, "web")).toMatchObject({
      host: "h2",
      vmState: "active",
      powerState: "RUNNING",
    });
    expect((await filesOn(lab, "h1")).filter(file => file.includes("/web"))).toEqual([]);
    expect(await filesOn(lab, "h1")).toContain(BASE_IMAGE);
    expect(await domainsOn(lab, "h1")).not.toContain("web");
    expect(await domainsOn(lab, "h2")).toContain("web");
  });
});

describe("the same server, when its disks are to be one raw file each on the other host", () => {
  it("runs from them with its data, and has its chain back when it is reverted", async () => {
    const before = await definitionOf(lab, "h2", "web");
    const migration = await migrate(lab, "web", "h1", "--disk-format", "raw", "--compression", "zstd");
    const travelled = expect.stringMatching(/^\d+ MiB of disk data travelled as \d+ MiB$/);
    expect(migration.notes).toEqual(
      expect.arrayContaining(["compression of disk data: zstd, as asked", travelled]),
    );
    const changed = migration.receipt.filter(({ changes }) => changes.length > 0);
    expect(changed.map(({ id, changes }) => `${id} ${changes.map(({ tool }) => tool)}`)).toEqual([
      "vda/0 qemu-img convert",
    ]);
    expect(changed[0]?.changes[0]?.holds).toMatch(/^qcow2 to raw, content of \d+ bytes unchanged: blake3 /);
    const { disks } = await serverOf(lab, "web");
    const formats = disks.map(({ role, format, backing }) => `${role} ${format} ${backing.length}`);
    expect(formats).toEqual(["root raw 0", "ephemeral raw 0", "swap raw 0", "config-drive raw 0"]);
    expect(verdicts(await bootOf(lab, "h1", "web", 3))).toEqual(["MARKER-OK 3", "EPH-OK 3"]);
    const disk = `${IMAGES}/web/disk`;
    expect(await lab.output("h1", ["stat", "-c", "%s", disk])).toBe(String(1024 * MIB));
    expect(await allocatedBytes(lab, "h1", disk)).toBeLessThan(128 * MIB);

    await revert(lab, "web");
    expect(await definitionOf(lab, "h2", "web")).toBe(before);
    const isLeft = async () => (await filesOn(lab, "h1")).some(file => file.includes("/web"));
    await waitFor(async () => !(await isLeft()), {
      deadlineMs: PATIENCE_MS,
      what: "h1 holds nothing of web",
    });
  });
});

describe("a server that is off", () => {
  it("stays off, and arrives bit for bit", async () => {
    const refused = await lab.ferry("server", "migrate", "idle", "--host", "h2", "--wait");
    expect(refused.stderr).toContain("the target has no bridge br-one");
    const migration = await migrate(lab, "idle", "h2", "--network-map", "bridge:br-one=br-two");
    expect(await lab.output("h2", ["virsh", "-q", "domiflist", "idle"])).toMatch(
      new RegExp(`bridge +br-two +virtio +${MAC}`),
    );

    const copied = migration.receipt.filter(({ mode, path }) => mode === "copied" && path !== BASE_IMAGE);
    const arrived = copied.map(({ path }) => path);
    const kept = arrived.map(path => `${path}.fenced-${migration.id}`);
    const digests = copied.map(({ digest }) => digest);
    expect(arrived.toSorted()).toEqual(
      ["disk", "disk.config", "disk.eph0"].map(file => `${IMAGES}/idle/${file}`),
    );
    expect(await digestsOf(lab, "h1", kept)).toEqual(digests);
    expect(await digestsOf(lab, "h2", arrived)).toEqual(digests);
    expect(migration.downtimeMs).toBe(0);
    const off = { host: "h2", powerState: "SHUTDOWN" };
    expect(await serverOf(lab, "idle")).toMatchObject({ ...off, status: "VERIFY_RESIZE" });

    await confirm(lab, "idle");
    expect(await serverOf(lab, "idle")).toMatchObject({ ...off, status: "SHUTOFF" });
    expect(await lab.output("h2", ["virsh", "-q", "domstate", "idle"])).toBe("shut off");

    // Nobody has written since: the receipt still holds, until a byte changes that nobody wrote.
    expect(await lab.ferry("verify", migration.id)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("4 files on h2 equal the receipt"),
    });
    const [disk = ""] = arrived;
    const rot = `touch -r "$0" /run/when; printf x | dd of="$0" bs=1 seek=65000 conv=notrunc; touch -r /run/when "$0"`;
    await lab.output("h2", ["sh", "-c", rot, disk]);
    expect(await lab.ferry("verify", migration.id)).toMatchObject({
      code: 5,
      stdout: expect.stringMatching(/differs .* not written to since/),
    });
  });
});

describe("a server with a raw root disk of its own", () => {
  it("moves as fast as it is told to, and its holes stay holes", async () => {
    const disk = `${IMAGES}/plain/disk`;
    const sizeOf = (host: Host) => lab.output(host, ["stat", "-c", "%s", disk]);
    const size = await sizeOf("h1");

    // A slow link at first, or the copy would be over before it is told anything.
    const slow = "tc qdisc add dev mig0 root tbf rate 8mbit burst 64kbit latency 400ms";
    await lab.output("h1", slow.split(" "));
    await ferry(lab, "server", "migrate", "plain", "--host", "h2");
    const { id } = await migrationOf(lab, "plain");
    await ferry(lab, "migration", "set", id, "--bwlimit", "1M");
    await lab.output("h1", ["tc", "qdisc", "del", "dev", "mig0", "root"]);
    const progress = async (atLeast: number) =>
      await waitFor(
        async () => {
          const askedMs = Date.now();
          const doneBytes = (await migrationOf(lab, "plain")).progress?.doneBytes ?? 0;
          return doneBytes > atLeast && { doneBytes, askedMs, answeredMs: Date.now() };
        },
        { deadlineMs: PATIENCE_MS, what: `more than ${atLeast} bytes of plain are copied` },
      );
    // Over three seconds it does not matter that what is shown may be a second old.
    const first = await progress(0);
    const later = await progress(first.doneBytes + 3 * MIB);
    const seconds = (later.answeredMs - first.askedMs) / 1000;
    expect((later.doneBytes - first.doneBytes) / seconds).toBeLessThan(3 * MIB);
    await ferry(lab, "migration", "set", id, "--bwlimit", "none");
    const migration = await waitFor(
      async () => {
        const now = await migrationOf(lab, "plain");
        return now.status === "finished" && now;
      },
      { deadlineMs: PATIENCE_MS, what: "plain has moved" },
    );
    expect(migration.notes).toEqual(
      expect.arrayContaining([
        expect.stringContaining("limited to 1048576"),
        expect.stringContaining("not limited"),
      ]),
    );

    const fenced = await allocatedBytes(lab, "h1", `${disk}.fenced-${migration.id}`);
    expect(verdicts(await bootOf(lab, "h2", "plain", 2))).toEqual(["MARKER-OK 2", "EPH-OK 2"]);
    expect(await sizeOf("h2")).toBe(size);
    expect(Number(size)).toBe(1024 * MIB);
    // The second boot writes a little too.
    expect(await allocatedBytes(lab, "h2", disk)).toBeLessThan(fenced + 4 * MIB);
    await confirm(lab, "plain");
  });
});

describe("a server with UEFI and a TPM", () => {
  const stateFiles = async (host: Host) =>
    (await filesOn(lab, host)).filter(file => /nvram|swtpm/.test(file));

  /** It has run, and its firmware variables are made unlike those that libvirt would make anew. */
  beforeAll(async () => {
    await ferry(lab, "server", "start", "secure");
    await ferry(lab, "server", "stop", "secure", "--shutdown-timeout", "1");
    const [nvram = ""] = await stateFiles("h1");
    await lab.output("h1", ["dd", `of=${nvram}`, "bs=1", "seek=500000", "conv=notrunc"], { input: "mark" });
  });

  it("takes its firmware variables and TPM state along", async () => {
    const before = await stateFiles("h1");
    const digests = await digestsOf(lab, "h1", before);

    const migration = await migrate(lab, "secure", "h2");

    const inReceipt = migration.receipt.filter(({ id }) => id === "nvram" || id.startsWith("tpm/"));
    expect(inReceipt.map(({ path }) => path).toSorted()).toEqual(before);
    expect(await digestsOf(lab, "h2", before)).toEqual(digests);
    await ferry(lab, "server", "confirm", "secure", "--wait");
    await ferry(lab, "server", "start", "secure");
    expect(await serverOf(lab, "secure")).toMatchObject({ host: "h2", status: "ACTIVE" });
    expect(await stateFiles("h1")).toEqual([]);
  });
});

describe("a server with its disks on storage that both hosts have, a block device, and an NBD and an iSCSI volume", () => {
  const FOLDER = "/run/shared/vms";
  const VOLUME_BYTES = 64 * MIB;
  const TARGET = "iqn.2026-01.lab:disks";
  const volume = (device: string, source: string) =>
    `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source ${source}</source><target dev='${device}' bus='virtio'/></disk>`;
  /** Of the machine's kernel, which is both hosts': one device by proof. The guest puts a file system's worth of data on it. */
  const makeDevice = async (): Promise<string> => {
    const image = await mkdtemp("/var/tmp/ferry-lab-device-").then(folder => `${folder}/image`);
    await run("mkfs.ext4", ["-q", "-L", "ephemeral1", image, "24M"]);
    const { stdout } = await run("losetup", ["--find", "--show", image]);
    const device = stdout.trim();
    atEnd.push(async () => {
      await run("losetup", ["--detach", device]);
      await rm(dirname(image), { recursive: true });
    });
    return device;
  };
  const atEnd: (() => Promise<void>)[] = [];
  /** A host with a /dev of its own may have been up before there was one of this number. */
  const onBothHosts = async (path: string) => {
    for (const host of ["h1", "h2"] as const)
      await lab.output(host, ["sh", "-c", `test -b ${path} || mknod ${path} b 7 ${path.slice(9)}`]);
  };
  const deviceXml = (device: string) =>
    `<disk type='block' device='disk'><driver name='qemu' type='raw' cache='none'/>
      <source dev='${device}'/><target dev='vdg' bus='virtio'/></disk>`;
  const disksXml = [
    volume("vde", "protocol='nbd' name='data'><host name='ctl' port='10809'/>"),
    volume("vdf", `protocol='iscsi' name='${TARGET}/1'><host name='ctl' port='3260'/>`),
  ].join("\n");
  const serveVolumes = `
    dd if=/dev/urandom of=/run/nbd.img bs=1M count=${VOLUME_BYTES / MIB} status=none
    truncate -s 16M /run/lun.img
    qemu-nbd --fork -t -f raw -x data -e 3 -b 0.0.0.0 /run/nbd.img
    tgtd >/run/tgtd.log 2>&1
    until tgtadm --op show --mode system >/run/tgtd.log 2>&1; do sleep 0.1; done
    tgtadm --lld iscsi --op new --mode target --tid 1 -T ${TARGET}
    tgtadm --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 -b /run/lun.img
    tgtadm --lld iscsi --op bind --mode target --tid 1 -I ALL`;
  /** What both cables of both hosts have carried. */
  const carriedBytes = async () => {
    const cables = (["h1", "h2"] as const).flatMap(host =>
      (["eth0", "mig0"] as const).map(device => lab.linkCounters(host, device)),
    );
    return (await Promise.all(cables)).reduce((sum, cable) => sum + cable.sentBytes + cable.receivedBytes, 0);
  };
  const inodes = (host: Host) =>
    lab.output(host, ["sh", "-c", `stat -c '%n %i' ${FOLDER}/* && ls -A ${FOLDER}`]);
  /** Whoever has the device open: this machine's /proc shows the processes of all hosts. */
  /** Its agent knows of none from now on. */
  const hideDevices = async (host: Host) => {
    await lab.agent(host, "stop");
    const sinceMs = Date.now();
    await lab.output(host, [
      "sed",
      "-i",
      's|^block_devices.*|block_devices = ["/dev/none"]|',
      "/etc/ferry/agent.toml",
    ]);
    await lab.agent(host, "start");
    const isHeard = async () => {
      const hosts: KnownHost[] = JSON.parse(await ferry(lab, "host", "list", "-o", "json"));
      return hosts.some(one => one.name === host && one.lastHeartbeatMs > sinceMs && one.hookProblem === "");
    };
    await waitFor(isHeard, { deadlineMs: PATIENCE_MS, what: `${host} is heard of again` });
  };
  const CARRY = ["--read-only-drives", "carry"];
  const openersOf = async (device: string) => (await findOpeners("/proc", [device])).found;
  let server: LabServer;
  let device: string;

  beforeAll(async () => {
    device = await makeDevice();
    await onBothHosts(device);
    const disks = `${disksXml}\n${deviceXml(device)}`;
    await lab.output("h1", ["mkdir", FOLDER]);
    await lab.output("ctl", ["sh", "-eu"], { input: serveVolumes });
    server = await LabServer.adopt(lab, "h1", {
      name: "shared",
      folder: FOLDER,
      disksXml: disks,
      bootsKernel: false,
    });
  });
  afterAll(async () => {
    await lab.exec("h1", ["virsh", "-q", "destroy", "shared"]);
    for (const undo of atEnd) await undo();
  });

  it("is refused while somebody on the target has the block device open, and runs on", async () => {
    const hold = `exec sleep 600 3<${device} >/run/sleep.log 2>&1 & echo $!`;
    const holder = (await lab.output("h2", ["sh", "-c", hold])).trim();
    const words = ["shared", "--host", "h2", "--read-only-drives", "carry", "--wait"];
    const refused = await lab.ferry("server", "migrate", ...words);
    await lab.output("h2", ["kill", holder]);
    expect(refused.stderr).toContain(`the block device ${device} is open on the target`);
    expect(refused.stderr).toMatch(/have: +process \d+ \(sleep\)/);
    expect(refused.code).toBe(3);
    await server.processOn("h1");
  });

  it("moves without a byte of them crossing, and stays on the very same files", async () => {
    const [files, carried] = [await inodes("h1"), await carriedBytes()];
    const migration = await server.rested(await server.migrate("h2"));
    expect(migration).toMatchObject({ status: "finished", targetHost: "h2" });
    expect(migration.receipt.map(({ mode }) => mode)).toEqual(Array(5).fill("shared"));
    expect(migration.receipt.find(({ path }) => path === device)).toMatchObject({
      id: "vdg/0",
      dataBytes: 0,
      digest: expect.stringMatching(/^device [0-9a-f-]{36}\/7:\d+\/\d+$/),
    });
    const { disks } = await serverOf(lab, "shared");
    expect(disks.filter(({ mode }) => mode === "volume").map(({ role, path }) => `${role} ${path}`)).toEqual([
      "volume nbd://ctl:10809/data",
      `volume iscsi://ctl:3260/${TARGET}/1`,
    ]);
    // Of 64 MiB of volume, and some 20 on the disks, next to nothing: what the guest reads as it boots, and talk.
    expect((await carriedBytes()) - carried).toBeLessThan(4 * MIB);
    await server.dataIntact("h2", 2);
    const boot = await lab.console("h2", "shared");
    for (const bytes of [VOLUME_BYTES, 16 * MIB])
      expect(boot).toMatch(new RegExp(`DISK vd[de] bytes=${bytes} `));
    // What the guest wrote to the block device on h1 is there on h2, and only its process has it open.
    expect([...boot.matchAll(/EPH-OK vd\w boots=2/g)]).toHaveLength(2);
    expect((await openersOf(device)).map(({ pid }) => pid)).toEqual([await server.processOn("h2")]);
    expect(await inodes("h2")).toBe(files);
    expect(await domainsOn(lab, "h1")).not.toContain("shared");
  });

  it("is reverted with what it wrote on the target, and cannot be started on both", async () => {
    const files = await inodes("h1");
    await server.revert();
    // Its third boot, not its second again: the disks are the same ones.
    await server.dataIntact("h1", 3);
    const process = await server.processOn("h1");
    expect(await inodes("h1")).toBe(files);
    expect([...(await lab.console("h1", "shared")).matchAll(/EPH-OK vd\w boots=3/g)]).toHaveLength(2);
    expect((await openersOf(device)).map(({ pid }) => pid)).toEqual([process]);
    expect(await domainsOn(lab, "h2")).not.toContain("shared");
  });

  it("takes its block device along as a file where the target does not have it, and has it again by a revert", async () => {
    await ferry(lab, "server", "stop", "shared");
    await hideDevices("h2");
    const refused = await lab.ferry("server", "migrate", "shared", "--host", "h2", ...CARRY, "--wait");
    expect(refused.stderr).toContain(`the target has no block device ${device} to use`);
    expect(refused.stderr).toMatch(/fix: .*--block-disks copy/);
    const migration = await migrate(lab, "shared", "h2", ...CARRY, "--block-disks", "copy");
    const file = `${IMAGES}/shared/disk.vdg`;
    const line = migration.receipt.find(({ id }) => id === "vdg/0");
    expect(line).toMatchObject({ mode: "copied", path: file, sizeBytes: 24 * MIB, readBack: "direct-local" });
    expect(await lab.output("h2", ["cmp", device, file])).toBe("");
    expect(await digestsOf(lab, "h2", [file])).toEqual([line?.digest]);
    const verified: { files: FileVerdict[] } = JSON.parse(
      await ferry(lab, "verify", migration.id, "-o", "json"),
    );
    expect(verified.files.find(({ path }) => path === file)).toMatchObject({ outcome: "equal" });
    expect(await definitionOf(lab, "h2", "shared")).toMatch(
      /<disk type='file' device='disk'>\s*<driver name='qemu' type='raw' cache='none'\/>\s*<source file='\S+\/disk.vdg'\/>/,
    );
    const before = await readFile(device);
    await lab.output("h2", ["virsh", "-q", "start", "shared"]);
    // The guest calls it vdf. Its marker lies on the shared folder, which is the same one on both hosts.
    expect(await bootOf(lab, "h2", "shared", 4)).toMatch(/EPH-OK vdf boots=4/);
    expect(await openersOf(device)).toEqual([]);
    expect((await readFile(device)).equals(before)).toBe(true);
    await server.revert();
    expect((await readFile(device)).equals(before)).toBe(true);
    expect(await filesOn(lab, "h2")).not.toContain(file);
    await server.start();
    expect(await bootOf(lab, "h1", "shared", 5)).toMatch(/EPH-OK vdf boots=4/);
  });

  it("leaves its block device as it is when it is deleted", async () => {
    await ferry(lab, "server", "delete", "shared", "--yes");
    expect(await domainsOn(lab, "h1")).not.toContain("shared");
    expect(await openersOf(device)).toEqual([]);
    const { stdout: listed } = await run("debugfs", ["-R", "ls -p /", device]);
    expect(listed).toMatch(/\/blob\//);
  });

  it("leaves its root's device on the source where that was confirmed as an image on the target", async () => {
    const root = await makeDevice();
    await onBothHosts(root);
    const before = await readFile(root);
    await bareGuest(lab, "h1", { name: "local", file: root, isOff: true, type: "block" });
    expect(await ferry(lab, "server", "adopt", "local", "--host", "h1")).toContain("--block-disks copy");
    const migration = await migrate(lab, "local", "h2", "--block-disks", "copy", "--disk-format", "qcow2");
    const image = `${IMAGES}/local/disk.vda`;
    expect(migration.receipt).toMatchObject([
      { id: "vda/0", path: image, changes: [{ tool: "qemu-img convert" }] },
    ]);
    await lab.output("h2", ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", root, image]);
    await confirm(lab, "local");
    expect((await migrationOf(lab, "local")).notes).toContain(
      `kept on the source: ${root} on h1 still holds vda/0 as it was`,
    );
    expect((await readFile(root)).equals(before)).toBe(true);
    expect(await serverOf(lab, "local")).toMatchObject({
      host: "h2",
      disks: [{ role: "root", format: "qcow2" }],
    });
    await ferry(lab, "server", "delete", "local", "--yes");
    expect(await filesOn(lab, "h2")).not.toContain(image);
  });
});
