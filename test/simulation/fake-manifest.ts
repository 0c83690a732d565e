/** The manifest of a fake host's domain: one line per file that it has. */

import type { ManifestFile, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import type { Disk } from "../../proto/gen/ferry/v1/model.js";
import type { FakeHost } from "./fake-host.js";

const SIZE_BYTES = 1_048_576;

export function manifestOf(host: FakeHost, serverId: string): SourceManifest {
  const domain = host.domains.get(serverId);
  const files = domain === undefined ? [] : host.filesOf(domain.incarnation);
  return {
    domainXml: "<domain/>",
    powerState: domain?.state ?? "NOSTATE",
    disks: files.map(([key, { path }]) => diskOf(key, path)),
    files: files.map(([key, { path }]) => fileOf(key, path)),
    stateHash: files.map(([, { digest }]) => digest).join(","),
    emulator: "/usr/bin/qemu-system-x86_64",
    machine: "pc-q35-7.2",
    arch: "x86_64",
    memoryMib: 512,
    vcpus: domain?.vcpus ?? 0,
    dataBytes: files.length * SIZE_BYTES,
    virtType: "qemu",
    facts: undefined,
    folders: [],
    blockDevices: [],
    volumes: [],
    networkNames: {},
  };
}

const idOf = (key: string): string => key.slice(key.indexOf("/") + 1);

const fileOf = (key: string, path: string): ManifestFile => ({
  id: idOf(key),
  path,
  sizeBytes: SIZE_BYTES,
  dataBytes: SIZE_BYTES,
  mode: "copied",
  permissions: 0o600,
  relativePath: path,
  kind: "disk",
  digest: "",
  swap: undefined,
  identity: "",
  madeByFerry: false,
});

const diskOf = (key: string, path: string): Disk => ({
  targetDev: idOf(key).split("/")[0] ?? "",
  role: "root",
  path,
  format: "qcow2",
  virtualSizeBytes: SIZE_BYTES,
  allocatedBytes: SIZE_BYTES,
  backing: [],
  mode: "copied",
  reason: "",
  readOnly: false,
});
