/**
 * The edges: every module that is replaced in the simulation, and nothing else. The daemons themselves are the real ones,
 * down to their `main.ts`; this is all that is fake.
 *
 * `builtins` are replaced where the product imports them, `modules` (paths from the project's root) wherever the product
 * does. The replacements themselves get the real ones.
 */

export const PRODUCT = ["agent/", "controller/", "proto/"];

export const builtins = {
  "node:fs": "fs",
  "node:fs/promises": "fs-promises",
  "node:timers/promises": "timers-promises",
  "node:crypto": "crypto",
  "node:os": "os",
  "better-sqlite3": "sqlite",
};

export const modules = {
  "proto/daemon": "daemon",
  "proto/rpc-client": "rpc-client",
  "proto/rpc-server": "rpc-server",
  "agent/os/engine": "engine",
  "agent/os/libvirt-hypervisor": "libvirt-hypervisor",
  "agent/os/native-files": "native-files",
  "agent/os/ssh-carrier": "ssh-carrier",
  "agent/os/tool": "tool",
  "agent/probe/system": "system",
  "agent/transfer/source": "transfer-source",
  "agent/transfer/target": "transfer-target",
  "agent/transfer/probe-path": "transfer-probe",
};

/** Path from the project's root of what stands for `specifier` when `importer` asks for it; undefined: the real one. */
export function replacementFor(specifier, importer) {
  if (!PRODUCT.some(folder => importer.startsWith(folder))) return undefined;
  const name = builtins[specifier] ?? modules[resolved(specifier, importer)];
  return name === undefined ? undefined : `test/simulation/edges/${name}.ts`;
}

function resolved(specifier, importer) {
  if (!specifier.startsWith(".")) return "";
  const parts = importer.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/").replace(/\.[jt]s$/, "");
}
