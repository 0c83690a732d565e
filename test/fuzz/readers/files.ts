/** Readers that open files themselves: paths that clients name, what the hook reads, and the journal of a part file. */

import { close, closeSync, constants, ftruncateSync, openSync, writeFileSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { openImageFile } from "../../../agent/disk/image-file.js";
import { guestFiles } from "../../../agent/fence/guest-file.js";
import { readRanMark } from "../../../agent/fence/ran-mark.js";
import { nativeFiles } from "../../../agent/os/native-files.js";
import { runsOf } from "../../../agent/transfer/digest-tree.js";
import { openBelow } from "../../../agent/transfer/fd-io.js";
import { PartJournal } from "../../../agent/transfer/part-journal.js";
import { readTlsFiles, type TlsPaths } from "../../../proto/tls-files.js";
import { REFUSAL, type Reader, text } from "../reader.js";
import type { Workplace } from "../workplace.js";

const SERVER = "0f0f0f0f-1111-4222-8333-444444444444";
const PATHS = [
  "folder.raw",
  "pipe.raw",

  "disk.raw",
  "link/shadow",
  "shadow",
  "../outside/shadow",
  "/etc/shadow",
  "./disk.raw/../shadow",
];
const closeFd = promisify(close);

export async function fileReaders(place: Workplace, tls: TlsPaths): Promise<Reader[]> {
  const files = nativeFiles();
  const pools = { directories: [place.pool] };
  const paths = PATHS.map(path => Buffer.from(join(place.pool, path)));
  for (const folder of ["guests", "ran"]) await mkdir(join(place.state, folder));
  return [
    {
      name: "path of an image",
      documents: paths,
      read: text(async path => {
        await using image = await openImageFile(files, pools, path);
        place.requireInside(image.fd);
      }),
      throws: /null bytes|ENAMETOOLONG/,
    },
    {
      name: "path of a disk to write",
      documents: PATHS.map(path => Buffer.from(path)),
      read: text(async path => {
        const fd = await openBelow(files, `${place.pool}/${path}`, place.pool, constants.O_RDWR);
        try {
          place.requireInside(fd);
        } finally {
          await closeFd(fd);
        }
      }),
      throws: /is not below|is neither a file|EXDEV|ELOOP|ENOENT|ENOTDIR|EISDIR|ENAMETOOLONG|null byte|NUL/i,
    },
    {
      name: "guest file of the hook",
      documents: [`allow ${SERVER}/home/source/1\n`, "deny it moved away\n"].map(line => Buffer.from(line)),
      read: async bytes => {
        writeFileSync(join(place.state, "guests", SERVER), bytes);
        const verdict = await guestFiles(place.state).read(SERVER);
        return verdict?.kind === "unreadable" ? REFUSAL : verdict;
      },
    },
    {
      name: "mark of the hook",
      documents: [Buffer.from(`${SERVER}/m1/target/2 2026-11-27T10:00:00Z\n`)],
      read: bytes => {
        writeFileSync(join(place.state, "ran", SERVER), bytes);
        return readRanMark(place.state, SERVER);
      },
    },
    {
      name: "certificate file",
      documents: [place.read(tls.cert)],
      read: bytes => {
        const cert = join(place.state, "tls.crt");
        writeFileSync(cert, bytes);
        return readTlsFiles({ ...tls, cert });
      },
    },
    partJournal(place, "part journal", bytes => bytes),
    partJournal(place, "part journal, rightly summed", summed),
  ];
}

/** Replayed as an agent does that goes on with a copy; what it vouches for must fit the file. */
function partJournal(place: Workplace, name: string, made: (bytes: Buffer) => Buffer): Reader {
  const { newDigestTree } = nativeFiles();
  const fd = openSync(join(place.pool, `${name}.journal`), "w+");
  const isSummed = made === summed;
  place.onDispose(() => closeSync(fd));
  return {
    name,
    documents: isSummed ? [header(), records()] : [Buffer.concat([record(1, header()), summed(records())])],
    read: async bytes => {
      ftruncateSync(fd, 0);
      writeSync(fd, made(bytes), 0, undefined, 0);
      const content = await new PartJournal(fd).replay(newDigestTree, SIZE_BYTES);
      if (content === undefined) return REFUSAL;
      const { leafCount } = content.verified;
      // Of a journal that says its file is enormous: the first runs are as good as all.
      for (const { first, count } of take(runsOf(content.verified), 64))
        if (first + count > leafCount) throw new Error(`a leaf ${first + count} of ${leafCount}`);
      return content;
    },
  };
}

function* take<Item>(items: Iterable<Item>, count: number): Generator<Item> {
  let left = count;
  for (const item of items) {
    if (left-- === 0) return;
    yield item;
  }
}

const SIZE_BYTES = 10_485_760;

const header = (): Buffer =>
  Buffer.from(
    JSON.stringify({
      migrationId: "m1",
      fileId: "vda/0",
      algorithm: "sha256",
      leafBytes: 262_144,
      sizeBytes: SIZE_BYTES,
      source: { device: "8:1", inode: "12", birthNs: "1", mtimeNs: "2", ctimeNs: "3" },
      part: { device: "8:1", inode: "13", birthNs: "1" },
      holdsOlder: false,
    }),
  );

/** kind, first leaf, count of leaves, body: as nobody has summed them yet. */
const records = (): Buffer =>
  Buffer.concat([head(2, 0, 2), Buffer.alloc(64, 7), head(3, 2, 38), head(4, 0, 0), Buffer.alloc(32, 9)]);

function head(kind: number, first: number, count: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32LE(first, 1);
  bytes.writeUInt32LE(count, 5);
  return bytes;
}

function record(kind: number, body: Buffer, first = 0, count = 0): Buffer {
  const start = Buffer.concat([head(kind, first, count), Buffer.alloc(4), body]);
  start.writeUInt32LE(body.length, 9);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(start));
  return Buffer.concat([start, sum]);
}

/** As somebody would leave it who can write to the pool: checksums that hold. */
function summed(bytes: Buffer): Buffer {
  if (bytes[0] === 0x7b) return Buffer.concat([record(1, bytes), record(3, Buffer.alloc(0), 0, 40)]);
  const parts = [record(1, header())];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const [kind, first, count] = [
      bytes.readUInt8(at),
      bytes.readUInt32LE(at + 1),
      bytes.readUInt32LE(at + 5),
    ];
    const bodyBytes = kind === 2 ? Math.min(count * 32, bytes.length - at - 9) : kind === 4 ? 32 : 0;
    parts.push(record(kind, bytes.subarray(at + 9, at + 9 + bodyBytes), first, count));
    at += 9 + bodyBytes;
  }
  return Buffer.concat(parts);
}
