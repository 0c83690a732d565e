/**
 * What a target cannot take is refused while the guest runs: with the reason, what is there, what is needed and what to do;
 * the guest goes on in the same process, and neither host keeps anything of the attempt.
 */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Host } from "../../proto/gen/ferry/v1/model.js";
import { bareServer } from "./bare-guest.js";
import { IMAGE_DIR } from "./guest.js";
import { Lab, waitFor } from "./lab.js";
import { expectMigrationRefused, expectRefusal } from "./refusal.js";

const EMULATOR = "/var/lib/libvirt/qemu-of-our-own";
const KERNEL = "/var/lib/libvirt/boot/kernel";

let lab: Lab;
let uuid: string;

beforeAll(async () => {
  lab = await Lab.up({ id: "refusals-target", hosts: 2 });
  await lab.output("h1", ["ip", "link", "add", "br7", "type", "bridge"]);
  await onH1(`cp ${await lab.guestFolder()}/vmlinuz ${KERNEL}`);
  await onH1(
    `printf '#!/bin/sh\\nexec /usr/bin/qemu-system-x86_64 "$@"\\n' >${EMULATOR} && chmod 755 ${EMULATOR}`,
  );
  uuid = await bareServer(lab, "h1", { name: "web" });
  await bareServer(lab, "h1", {
    name: "bridged",
    devices: '<interface type="bridge"><source bridge="br7"/></interface>',
  });
  await bareServer(lab, "h1", { name: "kernel", os: `<kernel>${KERNEL}</kernel>` });
  await bareServer(lab, "h1", { name: "emulator", devices: `<emulator>${EMULATOR}</emulator>` });
});
afterAll(() => lab.down());

const onH1 = (script: string): Promise<string> => lab.output("h1", ["sh", "-euc", script]);
const onH2 = (script: string): Promise<string> => lab.output("h2", ["sh", "-euc", script]);

const CONFIG = "/etc/ferry/agent.toml";

async function h2(): Promise<Host> {
  const hosts = JSON.parse((await lab.ferry("-o", "json", "host", "list")).stdout) as Host[];
  const found = hosts.find(({ name }) => name === "h2");
  assert(found !== undefined, "h2 is not listed");
  return found;
}

const waitForH2 = (what: string, condition: (host: Host) => boolean): Promise<true> =>
  waitFor(async () => condition(await h2()) || undefined, { deadlineMs: 60_000, what: `h2 ${what}` });

/** The first heartbeat after a start tells everything anew: what there is to book, and that the hook is proven. */
async function whileAgentIsStopped(change: () => Promise<unknown>): Promise<void> {
  await lab.agent("h2", "stop");
  const sinceMs = Date.now();
  await change();
  await lab.agent("h2", "start");
  await waitForH2("is heard of again", host => host.lastHeartbeatMs > sinceMs && host.hookProblem === "");
}

/** Runs the test while h2's agent has other settings. */
async function withSettings(settings: readonly string[], test: () => Promise<unknown>): Promise<void> {
  const lines = settings.join("\\n");
  await whileAgentIsStopped(() => onH2(`cp -p ${CONFIG} ${CONFIG}.before && sed -i '1i ${lines}' ${CONFIG}`));
  await test();
  await whileAgentIsStopped(() => onH2(`mv ${CONFIG}.before ${CONFIG}`));
}

const totalDiskGib = async (): Promise<number> =>
  (await h2()).inventories.find(({ resourceClass }) => resourceClass === "DISK_GB")?.total ?? 0;

const defineOnH2 = (name: string, id = ""): Promise<string> =>
  lab.output("h2", ["virsh", "-q", "define", "/dev/stdin"], {
    input: `<domain type="qemu"><name>${name}</name>${id}<memory>1024</memory><os><type>hvm</type></os></domain>`,
  });

const toH2 = (...words: string[]) => ["server", "migrate", "web", "--host", "h2", "--wait", ...words];

describe("a target that the scheduler refuses", () => {
  it("is a host that nobody knows", async () => {
    const says = ["Compute host h9 could not be found.", "have: h1, h2", "ferry host list"];
    await expectRefusal(lab, ["server", "migrate", "web", "--host", "h9"], { exit: 9, says });
  });

  it("is the host where the server is", async () => {
    const says = ["Cannot migrate to the host where the server exists.", "need: another host"];
    await expectRefusal(lab, ["server", "migrate", "web", "--host", "h1"], { exit: 3, says });
  });

  it("is a disabled host, named or not", async () => {
    await lab.output("ctl", ["ferry", "host", "disable", "h2", "--reason", "new disks"]);
    const says = ["host h2 is disabled: new disks", "have: disabled", "fix:  ferry host enable h2"];
    await expectRefusal(lab, toH2(), { exit: 3, says });
    await expectRefusal(lab, ["server", "migrate", "web"], {
      exit: 3,
      says: ["No valid host was found.", "host h2 is disabled", "--dry-run"],
    });
    await lab.output("ctl", ["ferry", "host", "enable", "h2"]);
  });

  it("has no room for the server's disks by its bookings", async () => {
    await withSettings(["reserved_host_disk_mb = 100000000"], () =>
      expectRefusal(lab, toH2(), {
        exit: 3,
        says: ["host h2 has not enough disk", "have: 0 GiB free", "need: 1 GiB"],
      }),
    );
  });

  it("does not call its hook", async () => {
    await onH2("chmod 644 /etc/libvirt/hooks/qemu.d/50-ferry");
    await lab.restartLibvirtd("h2");
    await waitForH2("is not guarded", host => host.hookProblem.includes("hook not loaded"));
    const says = [
      "host h2 may take no server: restart libvirtd",
      "need: a libvirt hook that was seen to refuse",
    ];
    await expectRefusal(lab, toH2(), { exit: 3, says });
    await onH2("chmod 755 /etc/libvirt/hooks/qemu.d/50-ferry");
    await whileAgentIsStopped(() => lab.restartLibvirtd("h2"));
  });

  it("is down", async () => {
    await lab.agent("h2", "stop");
    await waitForH2("is down", host => host.state === "down");
    const says = ["host h2 is down: its agent has stopped", "have: down", "systemctl status ferry-agent"];
    await expectRefusal(lab, toH2(), { exit: 3, says });
    await lab.agent("h2", "start");
    await waitForH2("is up", host => host.state === "up");
  });
});

describe("a target whose own agent refuses", () => {
  it("has no free memory, whatever its bookings say", async () => {
    const free = Number(await onH2("awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"));
    await withSettings([`reserved_host_memory_mb = ${free - 200}`], () =>
      expectMigrationRefused(lab, "web", {
        exit: 3,
        says: [
          "the target has too little memory",
          "host: h2",
          "have: 0 MiB",
          "need: 32 MiB",
          "fix:  stop or move a guest",
        ],
      }),
    );
  });

  it("has no free disk space, whatever its bookings say", async () => {
    await onH1(`dd if=/dev/urandom of=${IMAGE_DIR}/web.raw bs=64k count=1 conv=notrunc 2>&1`);
    const allButOne = ((await totalDiskGib()) - 1) * 1024;
    await withSettings([`reserved_host_disk_mb = ${allButOne}`, "disk_allocation_ratio = 10"], () =>
      expectMigrationRefused(lab, "web", {
        exit: 3,
        says: ["the target has too little disk space", "have: 0 bytes", "fix:  free space"],
      }),
    );
  });

  it("lacks the bridge of the server's interface", async () => {
    const says = ["the target has no bridge br7", "host: h2", "need: bridge br7", "fix:  create it there"];
    await expectMigrationRefused(lab, "bridged", { exit: 3, says });
  });

  it("lacks the kernel that the domain boots", async () => {
    const says = [`names a file that the target lacks: ${KERNEL}`, "fix:  copy it to the target"];
    await expectMigrationRefused(lab, "kernel", { exit: 3, says });
  });

  it("lacks the emulator", async () => {
    const says = ["the target lacks the emulator", `need: ${EMULATOR}`, "fix:  install the same QEMU"];
    await expectMigrationRefused(lab, "emulator", { exit: 3, says });
  });

  it("has an emulator without the machine type", async () => {
    const cache = "/var/cache/libvirt/qemu/capabilities";
    const machine = /machine='([^']+)'/.exec(await lab.output("h1", ["virsh", "dumpxml", "web"]))?.[1] ?? "";
    // What libvirt knows of an emulator, it remembers: without this machine it is an older emulator.
    await onH2(`cp -a ${cache} ${cache}.before && sed -i "/<machine .*'${machine}'/d" ${cache}/*.xml`);
    await whileAgentIsStopped(() => lab.restartLibvirtd("h2"));
    const says = ["the target does not run this machine", `need: ${machine} (x86_64`, "fix:  upgrade QEMU"];
    await expectMigrationRefused(lab, "web", { exit: 3, says });
    await onH2(`rm -r ${cache} && mv ${cache}.before ${cache}`);
    await whileAgentIsStopped(() => lab.restartLibvirtd("h2"));
  });

  it("has another domain of this name", async () => {
    await defineOnH2("web");
    const says = ["another domain on the target has this name", "have: uuid", "fix:  rename one of the two"];
    await expectMigrationRefused(lab, "web", { exit: 4, says });
    await onH2("virsh -q undefine web");
  });

  it("has a domain with this uuid", async () => {
    await defineOnH2("stray", `<uuid>${uuid}</uuid>`);
    const says = ["a domain with this uuid is defined on the target", "fix:  undefine it there"];
    await expectMigrationRefused(lab, "web", { exit: 4, says });
    await onH2("virsh -q undefine stray");
  });

  it("has a file in the place of a disk, and keeps it as it is", async () => {
    await onH2(`echo precious >${IMAGE_DIR}/web.raw`);
    const says = [`${IMAGE_DIR}/web.raw exists on the target already`, "need: no file", "fix:  look at it"];
    await expectMigrationRefused(lab, "web", { exit: 4, says });
    expect(await onH2(`cat ${IMAGE_DIR}/web.raw && rm ${IMAGE_DIR}/web.raw`)).toBe("precious");
  });

  it("takes the server once nothing is in the way any more", async () => {
    const { code, stdout } = await lab.ferry(...toH2("--shutdown-timeout", "1"));
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("web is on h2") });
  });
});
