/**
 * Disks that Ferry makes or changes itself. The programs that it calls are played by a function that writes what they would,
 * and flushes as little as they do.
 */

import { constants } from "node:fs";
import { createConfigDrive } from "../../../agent/disk/create-config-drive.js";
import { createRoot } from "../../../agent/disk/create-root.js";
import { createEphemeralDisk } from "../../../agent/disk/ephemeral.js";
import { growExt } from "../../../agent/disk/ext-file-system.js";
import { factsAt } from "../../../agent/disk/file-identity.js";
import { createSwapDisk, swapSpaceOf } from "../../../agent/disk/swap.js";
import type { Argv } from "../../../agent/os/tool.js";
import { digestFile } from "../../../agent/transfer/digest-file.js";
import { copyLocally, restoreLocally } from "../../../agent/transfer/local-copy.js";
import { convertDisk } from "../../../agent/verbs/convert-disk.js";
import { growDisk } from "../../../agent/verbs/grow-disk.js";
import { makeOnce } from "../../../agent/verbs/make-once.js";
import type { FlushCase, Stage } from "./stage.js";
import { CALL, worldOn } from "./world.js";

const DISK = "/images/disk";
const UUID = "0ee3eed4-a836-4738-821d-06cda800b509";
const MIB = 1024 ** 2;
const { O_RDWR, O_CREAT } = constants;
const WRITTEN = "written by a program";
const signal = new AbortController().signal;

/** Whatever program: it writes to the disk that it was given. */
const program = ({ disk }: Stage) => ({
  signal,
  runTool: async (argv: Argv) => {
    if (argv.includes(DISK)) disk.open(DISK, O_RDWR).write(Buffer.from(WRITTEN), 0);
    return "";
  },
});

const isWritten = ({ read }: Stage) => read(DISK)?.startsWith(WRITTEN) === true;

/** Its name is the caller's to flush. */
async function inFolder({ disk }: Stage, making: Promise<unknown>): Promise<void> {
  await making;
  disk.flushPath("/images");
}

/** `qemu-img` on disks that hold nothing but zeros. */
const qemuImg =
  ({ disk }: Stage) =>
  async ([, verb, ...words]: Argv) => {
    if (verb === "convert") disk.open(words.at(-1) ?? "", O_RDWR | O_CREAT, 0o600).truncate(MIB);
    return verb === "map" ? "[]" : "version 1";
  };

function converting(stage: Stage) {
  const receipt = { files: [{ id: "vda/0", algorithm: "sha256", digest: "" }] };
  const documents = {
    get: (...[, , kind]: string[]) => (kind === "copy" ? receipt : undefined),
    put: () => {},
  };
  const made = { identityOf: async () => await factsAt(stage.files, DISK), record: () => {} };
  return {
    ...worldOn(stage),
    runTool: qemuImg(stage),
    places: { directories: ["/images"] },
    documents,
    made,
  } as never;
}

/** The journal has the line of what was done already: what is left is to clean up. */
const cleaningUp = (stage: Stage) => ({ ...worldOn(stage), documents: { get: () => ({}) } }) as never;

const planned = { id: "vda/0", path: DISK, format: "raw", convertTo: "raw", permissions: 0o640 } as never;

const copyOf = (sourcePath: string) => ({
  sourcePath,
  migrationId: "m1",
  target: { id: "vda/0", targetPath: DISK, sizeBytes: 4, mode: 0o640 },
});

export const MADE_DISKS: readonly FlushCase[] = [
  {
    name: "what is made for a server has its name",
    act: stage =>
      makeOnce(DISK, CALL, worldOn(stage), () => createSwapDisk(DISK, MIB, swapSpaceOf(MIB, UUID, ""))),
    holds: ({ read }) => read(DISK)?.includes("SWAPSPACE2") === true,
  },
  {
    name: "an ephemeral disk has its file system",
    act: stage =>
      inFolder(
        stage,
        createEphemeralDisk(program(stage).runTool, { path: DISK, sizeBytes: 8 * MIB, label: "" }),
      ),
    holds: isWritten,
  },
  {
    name: "a config drive has its files",
    act: stage =>
      inFolder(stage, createConfigDrive(program(stage).runTool, DISK, { "a.json": Buffer.from("{}") })),
    holds: isWritten,
  },
  {
    name: "a root disk is what was made of its image",
    act: stage => {
      const image = [{ path: "/images/base", format: "qcow2", virtualSizeBytes: MIB }] as never;
      const root = { image, mode: "overlay", path: DISK, sizeBytes: MIB } as const;
      return inFolder(stage, createRoot({ ...program(stage), files: stage.files }, root));
    },
    holds: isWritten,
  },
  {
    name: "a file system that was grown is grown",
    before: ({ put }) => put(DISK, "small file system   "),
    act: stage => growExt(program(stage), DISK),
    holds: isWritten,
  },
  {
    name: "what was digested is what is on the disk",
    before: ({ put }) => put(DISK, "before"),
    act: async stage => {
      stage.disk.open(DISK, 2).write(Buffer.from("behind"), 0);
      await digestFile(stage.files, DISK);
    },
    holds: ({ read }) => read(DISK) === "behind",
  },
  {
    name: "a copy on the same host is whole and has its mode",
    before: ({ put }) => put("/images/original", "data"),
    act: ({ files }) => copyLocally(files, copyOf("/images/original")),
    holds: ({ read, disk }) => read(DISK) === "data" && disk.find(DISK)?.mode === 0o640,
  },
  {
    name: "a disk that is made again from its copy is whole",
    before: ({ put }) => {
      put("/images/saved", "data");
      put(DISK, "half");
    },
    act: ({ files }) => restoreLocally(files, { copyPath: "/images/saved", path: DISK, signal }),
    holds: ({ read }) => read(DISK) === "data",
  },
  {
    name: "the copy that was kept of a disk while it grew stays removed",
    before: ({ put }) => put(`${DISK}.part-m1.saved`, "data"),
    act: stage => growDisk(planned, CALL, cleaningUp(stage)),
    holds: ({ list }) => list("/images").length === 0,
  },
  {
    name: "a converted disk has the mode that was planned",
    before: ({ put, disk }) => {
      put(DISK, "");
      disk.open(DISK, O_RDWR).truncate(MIB);
    },
    act: stage => convertDisk(planned, CALL, converting(stage)),
    holds: ({ disk }) => disk.find(DISK)?.mode === 0o640 && disk.find(DISK)?.sizeBytes === MIB,
  },
  {
    name: "what was received stays removed once it was converted",
    before: ({ put }) => put(`${DISK}.part-m1.received`, "data"),
    act: stage => convertDisk(planned, CALL, cleaningUp(stage)),
    holds: ({ list }) => list("/images").length === 0,
  },
];
