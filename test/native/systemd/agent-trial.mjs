// Stands in for the agent inside its unit: tries what the agent must be able to do, and what it must not, and
// writes `{ "name": "ok" | "why not" }` to its state directory. Paths are set up by first-boot.sh.

import { execFileSync } from "node:child_process";
import {
  chownSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";

const image = "/var/lib/libvirt/images/trial.raw";
const stranger = readFileSync("/etc/ferry/stranger.pid", "utf8").trim();

const files = createRequire(import.meta.url)("/usr/lib/ferry/native/build/Release/fastio.node");

const openImage = name => files.openBeneath(openSync("/var/lib/libvirt", "r"), name, constants.O_RDWR, 0);

/** F_SETLEASE, F_WRLCK. */
const takeLease = `open(F, "+<", "${image}") or die $!; fcntl(F, 1024, 1) or die $!;`;

const listen = () =>
  new Promise((resolve, reject) => createServer().on("error", reject).listen(0, "127.0.0.1", resolve));

const trials = {
  "read the processors": () => readFileSync("/proc/cpuinfo", "utf8").match(/processor/).length > 0,
  "read the memory": () => readFileSync("/proc/meminfo", "utf8").match(/MemTotal/).length > 0,
  "read PCI devices": () => readdirSync("/sys/bus/pci/devices"),
  "read network addresses": () => networkInterfaces(),
  "see another user's process": () => readFileSync(`/proc/${stranger}/cmdline`),
  "see which files it has open": () =>
    readdirSync(`/proc/${stranger}/fd`).map(fd => readlinkSync(`/proc/${stranger}/fd/${fd}`)),
  "take a write lease on another user's image": () => execFileSync("perl", ["-e", takeLease]),
  "open an image beneath its folder": () => openImage("images/trial.raw"),
  "follow a link out of the folder": () => openImage("images/link"),
  "follow a link in the middle": () => openImage("images/folder-link/passwd"),
  "leave the folder upwards": () => openImage("images/../../secret"),
  "leave the folder from the root": () => openImage("/etc/passwd"),
  "end another user's process": () => process.kill(stranger, "SIGTERM"),
  "move an image aside": () => renameSync(image, `${image}.moved`),
  "give an image to a user": () => chownSync(`${image}.moved`, 1234, 1234),
  "make a swap disk": () => execFileSync("/usr/sbin/mkswap", [`${image}.moved`]),
  "run a tool with limits": () => execFileSync("prlimit", ["--as=4294967296", "--cpu=5", "--", "true"]),
  "keep a journal": () => writeFileSync("/var/lib/ferry/journal", ""),
  "install the hook": () => writeFileSync("/etc/libvirt/hooks/qemu.d/50-ferry", ""),
  listen: listen,
  "write elsewhere in /etc": () => writeFileSync("/etc/trial", ""),
  "write to /usr": () => writeFileSync("/usr/trial", ""),
  "write its own program": () => writeFileSync(import.meta.filename, ""),
  "find anything in a home directory": () => {
    if (readdirSync("/root").length === 0) throw new Error("empty");
  },
  "change a kernel setting": () => writeFileSync("/proc/sys/kernel/hostname", "trial"),
  "see block devices": () => statSync("/dev/loop-control"),
  mount: () => execFileSync("mount", ["-t", "tmpfs", "trial", "/var/lib/ferry"]),
  "become another user": () => execFileSync("setpriv", ["--reuid", "1234", "true"]),
};

const results = {};
for (const [name, attempt] of Object.entries(trials)) {
  try {
    await attempt();
    results[name] = "ok";
  } catch (error) {
    results[name] = error.code ?? String(error.stderr ?? error.message).trim();
  }
}
writeFileSync(`${process.env.STATE_DIRECTORY}/trial.json`, JSON.stringify(results));
process.exit(0);
