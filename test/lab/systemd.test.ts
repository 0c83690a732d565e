/**
 * Both daemons as an operator has them: installed by systemd/install.sh and run by real systemd, which is process 1 of each
 * host, in their full sandbox, with Debian's own qemu.conf: guests are another user's processes. They say READY, hang and
 * are replaced, and move a guest there and back.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { IMAGE_DIR, startGuest } from "./guest.js";
import { type Host, Lab, PATIENCE_MS, waitFor } from "./lab.js";

/** Shorter, and a daemon that a busy machine holds up is taken for one that hangs. */
const WATCHDOG_SECONDS = 5;

let lab: Lab;

const unitOf = (host: Host) => (host === "ctl" ? "ferry-controller" : "ferry-agent");

async function show(host: Host, property: string): Promise<string> {
  return lab.output(host, ["systemctl", "show", "--value", `--property=${property}`, unitOf(host)]);
}

const words = (line: string) => line.split(" ");

const journalOf = (host: Host) =>
  lab.output(host, ["journalctl", "--no-pager", "--output=cat", `--unit=${unitOf(host)}`]);

async function ferry(...args: string[]): Promise<string> {
  return lab.output("ctl", ["ferry", ...args], { timeoutMs: PATIENCE_MS });
}

const hostList = z.array(z.object({ name: z.string(), state: z.string(), hookProblem: z.string() }));

async function bothHostsUp() {
  return waitFor(
    async () => {
      const { stdout, code } = await lab.ferry("host", "list", "-o", "json");
      if (code !== 0) return undefined;
      const hosts = hostList.parse(JSON.parse(stdout));
      return hosts.length === 2 && hosts.every(({ state }) => state === "up") && hosts;
    },
    { deadlineMs: PATIENCE_MS, what: "both hosts are up" },
  );
}

/** As `systemctl edit` would; the promised 30 s are long for a test. */
async function shortenWatchdog(host: Host): Promise<void> {
  const directory = `/etc/systemd/system/${unitOf(host)}.service.d`;
  const override = `[Service]\nWatchdogSec=${WATCHDOG_SECONDS}\n`;
  await lab.output(host, ["sh", "-c", `mkdir -p ${directory} && cat >${directory}/override.conf`], {
    input: override,
  });
  await lab.output(host, ["systemctl", "daemon-reload"]);
  await lab.output(host, ["systemctl", "restart", unitOf(host)]);
}

beforeAll(async () => {
  lab = await Lab.up({ id: "systemd", hosts: 2, env: { LAB_INIT: "systemd", LAB_QEMU: "stock" } });
});
afterAll(() => lab?.down());

describe("the units under real systemd", () => {
  it.each(["ctl", "h1", "h2"] as const)("are READY on %s at the first attempt", async host => {
    expect(await show(host, "ActiveState")).toBe("active");
    expect(await show(host, "NRestarts")).toBe("0");
    expect(await lab.output(host, ["readlink", "/proc/1/exe"])).toMatch(/systemd$/);
  });

  it("have all hosts up, with the hook proven", async () => {
    const hosts = await bothHostsUp();
    expect(hosts.map(({ hookProblem }) => hookProblem)).toEqual(["", ""]);
  });

  it("keep what they know in directories of their own, closed to others", async () => {
    const stat = (host: Host, path: string) => lab.output(host, ["stat", "-c", "%a %U", path]);
    expect(await stat("ctl", "/var/lib/ferry-controller")).toBe("700 ferry");
    expect(await stat("ctl", "/var/lib/ferry-controller/controller.db")).toBe("600 ferry");
    expect(await stat("h1", "/var/lib/ferry/journal.db")).toBe("600 root");
  });

  it("install the hook so that libvirt can run it, whatever the umask", async () => {
    const hook = "/etc/libvirt/hooks/qemu.d/50-ferry";
    await lab.output("h1", ["rm", hook]);
    await lab.output("h1", ["systemctl", "restart", "ferry-agent"]);
    expect(await lab.output("h1", ["stat", "-c", "%a %U", hook])).toBe("755 root");
    await waitFor(async () => (await bothHostsUp()).every(({ hookProblem }) => hookProblem === ""), {
      deadlineMs: PATIENCE_MS,
      what: "the hook is proven again",
    });
  });

  it.each(["h1", "ctl"] as const)("%s: a daemon that hangs is replaced by the watchdog", async host => {
    await shortenWatchdog(host);
    const hung = await show(host, "MainPID");
    // Without its pings it would not live that long.
    const aliveSince = Date.now();
    await waitFor(() => Date.now() - aliveSince > 1.5 * WATCHDOG_SECONDS * 1000, {
      deadlineMs: 4 * WATCHDOG_SECONDS * 1000,
      what: "a watchdog period has passed",
    });
    expect([await show(host, "MainPID"), await show(host, "NRestarts")]).toEqual([hung, "0"]);

    await lab.output(host, ["kill", "-STOP", hung]);
    await waitFor(
      async () =>
        (await show(host, "NRestarts")) === "1" &&
        (await show(host, "ActiveState")) === "active" &&
        (await show(host, "MainPID")) !== hung,
      { deadlineMs: PATIENCE_MS, what: `${unitOf(host)} runs again` },
    );
    expect(await lab.output(host, ["journalctl", "--no-pager", "--output=cat"])).toMatch(/Watchdog timeout/);
    await bothHostsUp();
  });
});

/** On h2, with nothing of the machine's configuration; its log is /run/sshd.log. */
const SSHD = `
  mkdir -p /run/sshd /run/own-sshd && cd /run/own-sshd
  ssh-keygen -q -t ed25519 -N "" -f host-key
  printf '%s\\n' "HostKey $PWD/host-key" "AuthorizedKeysFile $PWD/authorized-keys" "StrictModes no" "UsePAM no" \
    "PasswordAuthentication no" "PermitRootLogin prohibit-password" "PidFile none" "AllowTcpForwarding local" >config
  { printf 'restrict,port-forwarding,permitopen="%s:7402" ' "$(getent hosts h2-mig | cut -d' ' -f1)" && cat; } >authorized-keys
  /usr/sbin/sshd -f config -E /run/sshd.log
  cat host-key.pub`;

/** Disk data leaves h1 through h2's sshd, whose firewall lets nothing else in on the migration network. */
async function onlySshIsOpen(): Promise<void> {
  const key = "/etc/ferry/ssh/id_ed25519";
  await lab.output("h1", [
    "sh",
    "-c",
    `mkdir -m 700 /etc/ferry/ssh && ssh-keygen -q -t ed25519 -N "" -f ${key}`,
  ]);
  const hostKey = await lab.output("h2", ["sh", "-eu", "-c", SSHD], {
    input: await lab.output("h1", ["cat", `${key}.pub`]),
  });
  await lab.output("h1", ["sh", "-c", "cat >/etc/ferry/ssh_known_hosts"], { input: `h2 ${hostKey}\n` });
  const settings = `[ssh]\nuser = "root"\nkey_file = "${key}"\n`;
  await lab.output("h1", ["sh", "-c", "cat >>/etc/ferry/agent.toml"], { input: settings });
  await lab.output("h1", ["systemctl", "restart", "ferry-agent"]);
  await bothHostsUp();
}

describe("a migration in the full sandbox", () => {
  it("takes a guest with its data to the other host, where only sshd is open, and is confirmed", async () => {
    const image = `${await lab.guestFolder()}/base.qcow2`;
    await ferry(
      "flavor",
      "create",
      "small",
      ...words("--vcpus 1 --ram 192 --disk 1 --ephemeral 1 --swap 16"),
    );
    await ferry(
      "server",
      "create",
      "web",
      ...words(`--flavor small --image ${image} --image-format qcow2 --host h1`),
    );
    await lab.waitForConsole("h1", "web", /MARKER-NEW[\s\S]*EPH-NEW[\s\S]* READY/);
    const closed = "INPUT -i mig0 -p tcp ! --dport 22 -j REJECT --reject-with tcp-reset";
    await lab.output("h2", ["iptables", "-w", "-I", ...words(closed)]);
    const check = async () => (await lab.ferry("server", "check", "web", "--host", "h2")).stdout;
    expect(await check()).toMatch(/transfer-path +\| unknown/);
    await onlySshIsOpen();
    expect(await check()).toMatch(/transfer-path +\| ok/);
    await ferry("server", "migrate", "web", "--host", "h2", "--wait");
    expect(await lab.output("h2", ["cat", "/run/sshd.log"])).toMatch(/Accepted publickey for root/);
    await lab.output("h2", ["iptables", "-w", "-D", ...words(closed)]);
    await lab.waitForConsole("h2", "web", /MARKER-OK vda2 boots=2[\s\S]*EPH-OK vdb boots=2[\s\S]* READY/);
    await ferry("server", "confirm", "web", "--wait");
    expect(await lab.output("h1", ["virsh", "-q", "list", "--all", "--name"])).toBe("");
    expect(await lab.output("h1", ["ls", IMAGE_DIR])).toBe("");
  });

  it("takes it back when it is reverted", async () => {
    await ferry("server", "migrate", "web", "--host", "h1", "--wait");
    await ferry("server", "revert", "web", "--yes", "--wait");
    await waitFor(async () => (await lab.output("h2", ["virsh", "-q", "domstate", "web"])) === "running", {
      deadlineMs: PATIENCE_MS,
      what: "web runs on h2 again",
    });
    expect(await lab.output("h1", ["virsh", "-q", "list", "--all", "--name"])).toBe("");
  });

  it("kills a guest that ignores its power button, which takes a signal to another user's process", async () => {
    await startGuest(lab, "h1", { name: "deaf", knobs: ["lab.noacpi=1"] });
    const owner = await lab.output("h1", ["sh", "-c", "ps -o user:20= -p $(cat /run/libvirt/qemu/deaf.pid)"]);
    expect(owner.trim()).toBe("libvirt-qemu");
    await ferry("server", "adopt", "deaf", "--host", "h1", "--read-only-drives", "carry");
    await ferry("server", "stop", "deaf", "--shutdown-timeout", "2");
    expect(await lab.output("h1", ["virsh", "-q", "domstate", "deaf"])).toBe("shut off");
  });

  it("needed nothing that the sandbox refuses", async () => {
    const logs = await Promise.all((["ctl", "h1", "h2"] as const).map(journalOf));
    expect(logs.join("\n")).not.toMatch(
      /EPERM|EACCES|EROFS|EXDEV|Operation not permitted|Read-only file system/,
    );
  });
});
