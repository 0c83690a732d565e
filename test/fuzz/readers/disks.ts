/** What a guest, or who made its image, wrote at the beginning of a disk. */

import { readExtFileSystem } from "../../../agent/disk/ext-file-system.js";
import { readQcow2Header } from "../../../agent/disk/qcow2-header.js";
import { judgeSwap, swapHeader } from "../../../agent/disk/swap.js";
import { REFUSAL, type Reader } from "../reader.js";

export const DISK_READERS: readonly Reader[] = [
  {
    name: "qcow2 header",
    documents: [qcow2(), qcow2("/images/base.qcow2")],
    read: bytes => readQcow2Header(bytes),
  },
  {
    name: "ext superblock",
    documents: [superblock()],
    read: bytes => readExtFileSystem(bytes) ?? REFUSAL,
  },
  {
    name: "swap header",
    documents: (["little", "big"] as const).map(byteOrder =>
      swapHeader({
        lastPage: 255,
        uuid: "11111111-2222-4333-8444-555555555556",
        label: "swap",
        byteOrder,
      }),
    ),
    read: bytes => judgeSwap(bytes, bytes, 1024 * 1024),
  },
];

/** A header that is right, with the name of a backing file and its format when there is one. */
function qcow2(backing = ""): Buffer {
  const header = Buffer.alloc(512);
  header.write("QFI\xfb", 0, "latin1");
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(16, 20);
  header.writeBigUInt64BE(1_073_741_824n, 24);
  header.writeUInt32BE(104, 100);
  if (backing === "") return header;
  header.writeUInt32BE(0xe2792aca, 104);
  header.writeUInt32BE(5, 108);
  header.write("qcow2", 112, "latin1");
  header.writeBigUInt64BE(128n, 8);
  header.writeUInt32BE(backing.length, 16);
  header.write(backing, 128, "latin1");
  return header;
}

/** Of a clean file system of 1 GiB. */
function superblock(): Buffer {
  const head = Buffer.alloc(2048);
  const block = head.subarray(1024);
  block.writeUInt32LE(262_144, 0x04);
  block.writeUInt32LE(2, 0x18);
  block.writeUInt16LE(0xef53, 0x38);
  block.writeUInt16LE(1, 0x3a);
  block.writeUInt32LE(0x2c2, 0x60);
  return head;
}
