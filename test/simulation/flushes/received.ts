/** A disk on its way in: begun, verified leaf by leaf, begun anew for another source, finished. */

import type { OpenRequest } from "../../../agent/transfer/messages.js";
import { openPart, type PartPlace } from "../../../agent/transfer/open-part.js";
import { PartFile } from "../../../agent/transfer/part-file.js";
import { digestOf } from "../edges/digest-tree.js";
import { nativeEngine, type SimulatedPart } from "../edges/engine.js";
import type { FlushCase, Stage } from "./stage.js";

const DISK = "/images/disk";
const PART = `${DISK}.part-m1`;
const LEAF_BYTES = 256 * 1024;
const LEAVES = 2;
const OLD = Buffer.alloc(LEAF_BYTES, "old");
const NEW = Buffer.alloc(LEAF_BYTES, "new");

const stamp = (inode: string) => ({ device: "8:1", inode, birthNs: "1", mtimeNs: "1", ctimeNs: "1" });

/** Of a source that has the same size as the other one or half of it. */
const requestFor = (source: string, leaves = LEAVES): OpenRequest => ({
  sizeBytes: leaves * LEAF_BYTES,
  dataBytes: leaves * LEAF_BYTES,
  stamp: stamp(source),
});

const place = ({ files }: Stage): PartPlace => ({
  files,
  incoming: {
    id: "vda/0",
    targetPath: DISK,
    sizeBytes: LEAVES * LEAF_BYTES,
    mode: 0o640,
    uid: 64055,
    gid: 64055,
  },
  migrationId: "m1",
  algorithm: "sha256",
  isLastPass: true,
  trustsManifest: true,
  readsBack: true,
});

const open = (stage: Stage, request: OpenRequest) => PartFile.open(nativeEngine(), place(stage), request);

/** As the engine does with a segment that has arrived. */
async function receive(file: PartFile, leaf: number, bytes: Buffer): Promise<void> {
  const part = file.part as unknown as SimulatedPart;
  await part.write(leaf, bytes);
  await part.verify(leaf, 1, new Map([[leaf, digestOf(bytes)]]));
}

async function receiveAll(stage: Stage): Promise<void> {
  const file = await open(stage, requestFor("1"));
  for (let leaf = 0; leaf < LEAVES; leaf += 1) await receive(file, leaf, NEW);
  await file.finish(file.verified.root());
  await file.close();
}

/** Of the source before. */
async function receiveOld(stage: Stage): Promise<void> {
  const file = await open(stage, requestFor("1"));
  for (let leaf = 0; leaf < LEAVES; leaf += 1) await receive(file, leaf, OLD);
  await file.close();
}

/** Whoever opens it now believes no leaf that is not on the disk, and takes none for empty that is the former source's. */
async function isHonest(stage: Stage, request: OpenRequest): Promise<boolean> {
  const { content } = await openPart(place(stage), request);
  const { verified, header } = content;
  const whole = stage.disk.find(PART)?.data ?? Buffer.alloc(0);
  return Array.from({ length: verified.leafCount }).every((_, leaf) => {
    const bytes = whole.subarray(leaf * LEAF_BYTES, (leaf + 1) * LEAF_BYTES);
    if (verified.stateOf(leaf) === "unknown") return header.holdsOlder || !bytes.includes("old");
    return verified.digestsOf(leaf, 1).equals(digestOf(bytes));
  });
}

export const RECEIVED: readonly FlushCase[] = [
  {
    name: "what was verified need not be sent again",
    act: async stage => receive(await open(stage, requestFor("1")), 0, NEW),
    holds: async stage => (await open(stage, requestFor("1"))).verified.stateOf(0) === "data",
  },
  {
    name: "nothing is believed of a part that was begun anew for a smaller source, at any moment",
    before: receiveOld,
    act: async stage => receive(await open(stage, requestFor("2", 1)), 0, NEW),
    holds: stage => isHonest(stage, requestFor("2", 1)),
    holdsMeanwhile: stage => isHonest(stage, requestFor("1")),
  },
  {
    name: "a part whose journal cannot be read is begun anew and holds nothing of what it was, at any moment",
    before: async stage => {
      await receiveOld(stage);
      stage.put(`${PART}.journal`, "damaged");
    },
    act: async stage => receive(await open(stage, requestFor("2")), 0, NEW),
    holds: stage => isHonest(stage, requestFor("2")),
    holdsMeanwhile: stage => isHonest(stage, requestFor("2")),
  },
  {
    name: "nothing is believed of a part whose source has changed, at any moment",
    before: receiveOld,
    act: async stage => receive(await open(stage, requestFor("2")), 0, NEW),
    holds: stage => isHonest(stage, requestFor("2")),
    holdsMeanwhile: stage => isHonest(stage, requestFor("1")),
  },
  {
    name: "a disk that was received has its name, content, owner and mode",
    act: receiveAll,
    holds: ({ disk, read }) => {
      const inode = disk.find(DISK);
      return (
        read(DISK) === `${NEW}${NEW}` && inode?.uid === 64055 && inode.gid === 64055 && inode.mode === 0o640
      );
    },
  },
  {
    name: "a disk that was received is known for that when it is asked for again",
    act: receiveAll,
    holds: async stage => (await open(stage, requestFor("1"))).isFinished,
  },
];
