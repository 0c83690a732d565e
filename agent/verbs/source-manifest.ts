/**
 * What is to be moved, as the source sees it: the definition, every file with its place and size, and one hash over
 * everything that must not change behind our back (SAFETY R17).
 */

import { readdir, stat } from "node:fs/promises";
import { posix } from "node:path";
import { Fault } from "../../proto/fault.js";
import type { ManifestFile, SourceManifest } from "../../proto/gen/ferry/v1/agent.js";
import { isBeneath } from "../claim/place-files.js";
import { activeLayerOf } from "../disk/active-layer.js";
import type { LaidOutDisk } from "../disk/disk-layout.js";
import { factsAt } from "../disk/file-identity.js";
import { openImageFile } from "../disk/image-file.js";
import type { ImageLayer } from "../disk/image-rules.js";
import { sourceFingerprint } from "../disk/source-fingerprint.js";
import { judgeSwap, SWAP_PAGE_BYTES, SWAP_PROBE_BYTES, type SwapSpace } from "../disk/swap.js";
import { nvramPathOf } from "../domain/domain-xml.js";
import { powerStateOf } from "../power-state.js";
import { diskOf, type Survey } from "../survey-domain.js";
import { fileDigest } from "./file-digest.js";
import { NVRAM_DIR, SWTPM_DIR } from "./state-dirs.js";
import { describeFolders, identityText } from "./storage-proof.js";
import { fleetNames } from "./target-networks.js";
import type { Call, World } from "./verb.js";

/** `digests` asks for the digests of backing files, which costs reading them. Facts of the host are not part of it. */
export async function manifestOf(
  survey: Survey,
  options: { readonly digests: boolean },
  call: Call,
  world: World,
): Promise<SourceManifest> {
  const { domain, summary, inactiveXml } = survey;
  const ofDisks = (
    await Promise.all(survey.disks.map(disk => filesOfDisk(disk, options, call, world)))
  ).flat();
  const found = [...ofDisks, ...(await firmwareFiles(survey, world)), ...(await tpmFiles(survey, world))];
  const made = new Set(world.artifacts.of(call.serverId, "").map(({ path }) => path));
  const files = found.map(file => ({ ...file, madeByFerry: made.has(file.path) }));
  return {
    domainXml: inactiveXml,
    powerState: powerStateOf(summary),
    disks: survey.disks.map(diskOf),
    files,
    stateHash: sourceFingerprint(inactiveXml, survey.disks),
    emulator: required(domain.emulator, "emulator"),
    machine: required(domain.machine, "machine type"),
    arch: required(domain.arch, "architecture"),
    memoryMib: Math.ceil(domain.memoryKib / 1024),
    vcpus: domain.vcpus,
    dataBytes: files.filter(file => file.mode === "copied").reduce((sum, file) => sum + file.dataBytes, 0),
    virtType: domain.virttype,
    facts: undefined,
    folders: await describeFolders(files, world),
    networkNames: fleetNames(domain.interfaces, world.config.network_map),
    blockDevices: survey.disks.flatMap(({ targetDev, blockDevice }) =>
      blockDevice ? [{ targetDev, ...blockDevice }] : [],
    ),
    volumes: survey.disks.flatMap(({ targetDev, volume }) => (volume ? [{ targetDev, ...volume }] : [])),
  };
}

function required(value: string | undefined, what: string): string {
  if (value !== undefined) return value;
  throw new Fault("refused", `the domain does not say its ${what}`, {
    fix: "define it with libvirt's own complete XML",
  });
}

async function filesOfDisk(
  disk: LaidOutDisk,
  options: { readonly digests: boolean },
  call: Call,
  world: World,
): Promise<ManifestFile[]> {
  const [active, ...backing] = disk.chain;
  if (active === undefined) return [];
  const top = await activeFile(disk, active, world);
  const below = backing.map(async (layer, index): Promise<ManifestFile> => {
    const digest = options.digests ? await fileDigest(layer.path, layer.facts.sizeBytes, call, world) : "";
    return {
      ...(await layerFile(layer, world)),
      id: `${disk.targetDev}/${index + 1}`,
      kind: "backing",
      digest,
    };
  });
  return [top, ...(await Promise.all(below))];
}

async function activeFile(disk: LaidOutDisk, layer: ImageLayer, world: World): Promise<ManifestFile> {
  const file = await layerFile(layer, world);
  const id = activeLayerOf(disk.targetDev);
  if (disk.role !== "swap") {
    const kind = disk.role === "config-drive" || disk.role === "media" ? disk.role : "disk";
    return { ...file, id, kind };
  }
  const verdict = await judgeSwapDisk(disk, layer, world);
  if (!verdict.drop) return { ...file, id, kind: "disk" };
  return {
    ...file,
    id,
    kind: "swap",
    mode: "re-created",
    dataBytes: 0,
    swap: swapToProto(verdict.swap, file.sizeBytes),
  };
}

/** A hibernated guest is refused: resumed on another machine it would wake up with another machine's memory. */
async function judgeSwapDisk(disk: LaidOutDisk, layer: ImageLayer, world: World) {
  if (layer.format !== "raw") return { drop: false as const, reason: "it is not raw" };
  await using image = await openImageFile(world.files, world.places, layer.path);
  const head = await image.read(0, SWAP_PROBE_BYTES);
  const tail = await image.read(Math.max(0, image.sizeBytes - SWAP_PROBE_BYTES), SWAP_PROBE_BYTES);
  const verdict = judgeSwap(head, tail, image.sizeBytes);
  if (!verdict.drop && verdict.reason.includes("hibernated")) {
    throw new Fault("refused", `swap disk ${disk.targetDev}: ${verdict.reason}`, {
      need: "a guest that is shut down or running, not hibernated",
      fix: "start the guest so that it resumes, then shut it down",
    });
  }
  return verdict;
}

const swapToProto = (swap: SwapSpace, sizeBytes: number) => ({
  sizeBytes,
  label: swap.label,
  uuid: swap.uuid,
  pageBytes: SWAP_PAGE_BYTES,
  bigEndian: swap.byteOrder === "big",
});

async function layerFile(layer: ImageLayer, world: World): Promise<ManifestFile> {
  const { facts, path } = layer;
  const file = await fileAt(path, facts.sizeBytes, facts.allocatedBytes, world);
  return { ...file, identity: identityText(facts) };
}

async function fileAt(
  path: string,
  sizeBytes: number,
  allocatedBytes: number,
  world: World,
): Promise<ManifestFile> {
  const folder = world.config.image_dirs.find(dir => isBeneath(path, dir));
  return {
    id: "",
    path,
    sizeBytes,
    // A fully allocated file may occupy a few blocks more than its size.
    dataBytes: Math.min(allocatedBytes, sizeBytes),
    mode: "copied",
    permissions: (await stat(path)).mode & 0o777,
    relativePath: folder === undefined ? "" : posix.relative(folder, path),
    kind: "disk",
    digest: "",
    swap: undefined,
    identity: "",
    madeByFerry: false,
  };
}

async function firmwareFiles({ domain }: Survey, world: World): Promise<ManifestFile[]> {
  const path = nvramPathOf(domain, NVRAM_DIR);
  if (path === undefined) return [];
  // libvirt makes it at the first start; a machine that never ran has none.
  const facts = await factsAt(world.files, path);
  if (facts === undefined) return [];
  return [
    { ...(await fileAt(path, facts.sizeBytes, facts.allocatedBytes, world)), id: "nvram", kind: "nvram" },
  ];
}

async function tpmFiles({ domain }: Survey, world: World): Promise<ManifestFile[]> {
  if (domain.tpmBackend !== "emulator") return [];
  const folder = posix.join(SWTPM_DIR, domain.uuid);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries
    .filter(entry => entry.isFile() && entry.name !== ".lock")
    .map(entry => posix.join(entry.parentPath, entry.name));
  return Promise.all(
    paths.map(async path => {
      const { size, blocks } = await stat(path);
      return {
        ...(await fileAt(path, size, blocks * 512, world)),
        id: `tpm/${posix.relative(folder, path)}`,
        kind: "tpm",
      };
    }),
  );
}
