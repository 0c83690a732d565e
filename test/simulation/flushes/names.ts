/** Small files of the agent's, names that change, and what is removed: also by one that was killed before it flushed. */

import { factsAt, removeByIdentity } from "../../../agent/disk/file-identity.js";
import { removeNonce, writeNonce } from "../../../agent/disk/storage-nonce.js";
import { removeDurably, writeDurably } from "../../../agent/fence/durable-file.js";
import { type AsideFile, moveAside, removeAside } from "../../../agent/fence/set-aside.js";
import { Journal } from "../../../agent/journal/journal.js";
import { forgetTransfer } from "../../../agent/transfer/incoming-file.js";
import { makeFolder } from "../../../agent/verbs/incoming-artifacts.js";
import { removeEmptyFolders } from "../../../agent/verbs/remove-folders.js";
import { removeTargetFiles } from "../../../agent/verbs/remove-target-files.js";
import { RESERVE } from "../world/disk.js";
import type { FlushCase, Stage } from "./stage.js";
import { CALL, worldOn } from "./world.js";

const FILE = "/images/disk";
const ASIDE = "/images/disk.fenced-m1";
const STATE = "/var/lib/ferry";
const NONCE = { path: "/images/nonce", root: "/images" };

const isGone =
  (path: string) =>
  ({ disk }: Stage) =>
    disk.find(path) === undefined;

async function identityAt({ files }: Stage, path: string) {
  const facts = await factsAt(files, path);
  if (facts === undefined) throw new Error(`nothing at ${path}`);
  return facts;
}

const asideFile = async (stage: Stage, path: string): Promise<AsideFile> => ({
  id: "vda/0",
  path: FILE,
  asidePath: ASIDE,
  identity: await identityAt(stage, path),
});

export const NAMES: readonly FlushCase[] = [
  {
    name: "a small file is there whole, in folders that had to be made",
    act: () => writeDurably("/var/lib/ferry/guests/a", "allow\n", { mode: 0o644 }),
    holds: ({ read }) => read("/var/lib/ferry/guests/a") === "allow\n",
  },
  {
    name: "a small file is there in a folder of one that was killed before its name was flushed",
    before: ({ put }) => put("/state/other", ""),
    act: ({ disk }) => {
      disk.makeDirectories("/state/guests", 0o755);
      return writeDurably("/state/guests/a", "allow\n", { mode: 0o644 });
    },
    holds: ({ read }) => read("/state/guests/a") === "allow\n",
  },
  {
    name: "a small file is what it was or what it becomes, at any moment",
    before: ({ put }) => put("/state/a", "deny\n"),
    act: () => writeDurably("/state/a", "allow\n", { mode: 0o644 }),
    holds: ({ read }) => read("/state/a") === "allow\n",
    holdsMeanwhile: ({ read }) => ["allow\n", "deny\n"].includes(read("/state/a") ?? ""),
  },
  {
    name: "a small file that is removed stays removed",
    before: ({ put }) => put("/state/a", "deny\n"),
    act: () => removeDurably("/state/a"),
    holds: isGone("/state/a"),
  },
  {
    name: "a file is aside also if it was moved by one that was killed",
    before: ({ put }) => put(FILE, "data"),
    act: async stage => {
      stage.disk.rename(FILE, ASIDE, false);
      await moveAside(stage.files, await asideFile(stage, ASIDE));
    },
    holds: ({ list }) => `${list("/images")}` === "disk.fenced-m1",
  },
  {
    name: "a file that was aside stays removed",
    before: ({ put }) => put(ASIDE, "data"),
    act: async stage => removeAside(stage.files, await asideFile(stage, ASIDE)),
    holds: isGone(ASIDE),
  },
  {
    name: "a file that was aside stays removed also if one was killed that had removed it",
    before: ({ put }) => put(ASIDE, "data"),
    act: async stage => {
      const file = await asideFile(stage, ASIDE);
      stage.disk.remove(ASIDE, "unlink");
      await removeAside(stage.files, file);
    },
    holds: isGone(ASIDE),
  },
  {
    name: "a file of ours stays removed",
    before: ({ put }) => put(FILE, "data"),
    act: async stage => removeByIdentity(stage.files, "/images", await identityAt(stage, FILE), "disk"),
    holds: ({ list }) => list("/images").length === 0,
  },
  {
    name: "a file of ours stays removed also if one was killed that had removed it",
    before: ({ put }) => put(FILE, "data"),
    act: async stage => {
      const identity = await identityAt(stage, FILE);
      stage.disk.remove(FILE, "unlink");
      await removeByIdentity(stage.files, "/images", identity, "disk");
    },
    holds: ({ list }) => list("/images").length === 0,
  },
  {
    name: "a folder that was made is there",
    act: stage => makeFolder("/images/web", CALL, worldOn(stage)),
    holds: ({ disk }) => disk.find("/images/web") !== undefined,
  },
  {
    name: "a folder is there also if it was made by one that was killed",
    act: stage => {
      stage.disk.makeDirectories("/images/web", 0o711);
      return makeFolder("/images/web", CALL, worldOn(stage, ["/images/web"]));
    },
    holds: ({ disk }) => disk.find("/images/web") !== undefined,
  },
  {
    name: "a folder that was emptied stays removed",
    before: ({ disk }) => void disk.makeDirectories("/images/web", 0o711),
    act: async stage => {
      const world = worldOn(stage, ["/images/web"], await identityAt(stage, "/images/web"));
      await removeEmptyFolders(CALL.serverId, CALL.migrationId, world);
    },
    holds: isGone("/images/web"),
  },
  {
    name: "parts of a copy that was given up stay removed",
    before: ({ put }) => put(`${FILE}.part-m1.journal`, "verified"),
    act: stage => removeTargetFiles({}, CALL, worldOn(stage, [FILE])),
    holds: ({ list }) => list("/images").length === 0,
  },
  {
    name: "parts stay removed also if one was killed that had removed them",
    before: ({ put }) => put(`${FILE}.part-m1.journal`, "verified"),
    act: stage => {
      stage.disk.remove(`${FILE}.part-m1.journal`, "unlink");
      return removeTargetFiles({}, CALL, worldOn(stage, [FILE]));
    },
    holds: ({ list }) => list("/images").length === 0,
  },
  {
    name: "the journal of a transfer stays removed also if one was killed that had removed it",
    before: ({ put }) => put(`${FILE}.part-m1.journal`, "verified"),
    act: stage => {
      stage.disk.remove(`${FILE}.part-m1.journal`, "unlink");
      return forgetTransfer([{ id: "vda/0", targetPath: FILE, sizeBytes: 1, mode: 0o600 }], "m1");
    },
    holds: ({ list }) => list("/images").length === 0,
  },
  {
    name: "a file by which two hosts find out about their storage is there, and whole",
    before: ({ put }) => put("/state/nonce", ""),
    act: async ({ files, put }) => put("/state/nonce", await writeNonce(files, NONCE)),
    holds: ({ read }) => read(NONCE.path) !== undefined && read(NONCE.path) === read("/state/nonce"),
  },
  {
    name: "a file by which two hosts find out about their storage stays removed",
    before: ({ put }) => put(NONCE.path, "nonce"),
    act: () => removeNonce(NONCE.path),
    holds: isGone(NONCE.path),
  },
  {
    name: "the reserve of the agent's journal is whole, or made again",
    before: ({ disk }) => void disk.makeDirectories(STATE, 0o755),
    act: async () => Journal.open(STATE).close(),
    holds: ({ disk }) => [undefined, RESERVE.length].includes(disk.find(`${STATE}/reserve`)?.sizeBytes),
  },
];
