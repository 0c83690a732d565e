/**
 * Swap disks: reading and writing their first page, and the decision of SAFETY R8 whether one may be dropped.
 *
 * A swap disk is never copied if, and only if, it was declared as swap and still is nothing else. Any doubt means
 * copy. Layout (4096-byte pages, in the byte order of the guest):
 *   0–1023 boot block │ 1024 version │ 1028 last page │ 1032 bad pages │ 1036 uuid │ 1052 label │ 4086 SWAPSPACE2
 */

import { Fault } from "../../proto/fault.js";
import { createSparseFile } from "./sparse-file.js";

export interface SwapSpace {
  /** Number of the last page; the space is one page larger. */
  readonly lastPage: number;
  /** Lower-case with dashes; all zero where none was set. */
  readonly uuid: string;
  readonly label: string;
  readonly byteOrder: "little" | "big";
}

export type SwapVerdict =
  | { readonly drop: true; readonly swap: SwapSpace }
  | { readonly drop: false; readonly reason: string };

export const SWAP_PAGE_BYTES = 4096;
/** What `judgeSwap` wants of a disk's beginning and end. */
export const SWAP_PROBE_BYTES = 128 * 1024;

const SIGNATURE = "SWAPSPACE2";
const SIGNATURE_AT = SWAP_PAGE_BYTES - SIGNATURE.length;
const AT = { version: 1024, lastPage: 1028, badPages: 1032, uuid: 1036, label: 1052 } as const;
const LABEL_BYTES = 16;
const UUID_BYTES = 16;
const LEAST_PAGES = 10;

/** What stands in the signature's place while a guest sleeps on its disk: kernel, uswsusp, TuxOnIce. */
const HIBERNATED = ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"];
/** A page size may be any of these, and a hibernation image is looked for at the end of each. */
const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

/** The swap space that a first page describes; undefined when it is none that we know in full. */
export function readSwapHeader(page: Buffer): SwapSpace | undefined {
  if (page.length < SWAP_PAGE_BYTES) return undefined;
  if (page.toString("latin1", SIGNATURE_AT, SWAP_PAGE_BYTES) !== SIGNATURE) return undefined;
  const byteOrder = page.readUInt32LE(AT.version) === 1 ? "little" : "big";
  const number = (at: number) => (byteOrder === "little" ? page.readUInt32LE(at) : page.readUInt32BE(at));
  if (number(AT.version) !== 1 || number(AT.badPages) !== 0) return undefined;
  return {
    lastPage: number(AT.lastPage),
    uuid: formatUuid(page.subarray(AT.uuid, AT.uuid + UUID_BYTES)),
    label: textOfLabel(page.subarray(AT.label, AT.label + LABEL_BYTES)),
    byteOrder,
  };
}

/** The kind of hibernation image that the beginning of a disk holds, if any. */
export function hibernationSignature(head: Buffer): string | undefined {
  return PAGE_SIZES.map(size => head.toString("latin1", size - SIGNATURE.length, size))
    .map(found => HIBERNATED.find(signature => found.startsWith(signature)))
    .find(signature => signature !== undefined);
}

/**
 * May a disk that was declared swap be dropped instead of copied? `head` and `tail` are its first and last
 * SWAP_PROBE_BYTES (the whole disk twice if it is smaller).
 */
export function judgeSwap(head: Buffer, tail: Buffer, sizeBytes: number): SwapVerdict {
  const keep = (reason: string): SwapVerdict => ({ drop: false, reason });
  const hibernated = hibernationSignature(head);
  if (hibernated !== undefined) return keep(`it holds a hibernated guest (${hibernated})`);
  const swap = readSwapHeader(head);
  if (swap === undefined) return keep("it has no clean SWAPSPACE2 header");
  const spaceBytes = (swap.lastPage + 1) * SWAP_PAGE_BYTES;
  if (swap.lastPage < LEAST_PAGES || spaceBytes > sizeBytes) return keep("its size does not fit the disk");
  if (!holdsNothingElse(head, swap)) return keep("its first page holds more than a swap header");
  const other = otherSignature(head, tail, sizeBytes);
  if (other !== undefined) return keep(`it also holds ${other}`);
  return { drop: true, swap };
}

/** What we would write is what is there: boot block, padding and label included. */
const holdsNothingElse = (head: Buffer, swap: SwapSpace): boolean =>
  isRepresentable(swap) && swapHeader(swap).equals(head.subarray(0, SWAP_PAGE_BYTES));

const isRepresentable = ({ label }: SwapSpace): boolean => Buffer.byteLength(label) <= LABEL_BYTES;

interface Signature {
  readonly what: string;
  readonly at: number;
  readonly bytes: string;
}

/** Beyond the first page, which must hold nothing but its header. */
const HEAD_SIGNATURES: readonly Signature[] = [
  { what: "an md member", at: 4096, bytes: "\xfc\x4e\x2b\xa9" },
  { what: "bcache", at: 4096 + 24, bytes: "\xc6\x85\x73\xf6\x4e\x1a\x45\xca" },
  { what: "a LUKS header copy", at: 16384, bytes: "SKUL\xba\xbe" },
  { what: "an iso9660 file system", at: 32769, bytes: "CD001" },
  { what: "a udf file system", at: 32769, bytes: "BEA01" },
  { what: "a btrfs file system", at: 65536 + 64, bytes: "_BHRfS_M" },
  { what: "a reiser file system", at: 65536 + 52, bytes: "ReIsEr" },
];

function otherSignature(head: Buffer, tail: Buffer, sizeBytes: number): string | undefined {
  const found = HEAD_SIGNATURES.find(({ at, bytes }) => hasBytes(head, at, bytes));
  return found?.what ?? tailSignature(tail, sizeBytes);
}

function tailSignature(tail: Buffer, sizeBytes: number): string | undefined {
  const tailStart = sizeBytes - tail.length;
  const md = "\xfc\x4e\x2b\xa9";
  const mdOld = Math.floor(sizeBytes / 65536) * 65536 - 65536 - tailStart;
  const mdAtEnd = Math.floor((sizeBytes - 8192) / 4096) * 4096 - tailStart;
  if (hasBytes(tail, mdOld, md) || hasBytes(tail, mdAtEnd, md)) return "an md member";
  if (hasBytes(tail, tail.length - 512, "EFI PART")) return "a partition table";
  return undefined;
}

const hasBytes = (buffer: Buffer, at: number, bytes: string): boolean =>
  at >= 0 && buffer.toString("latin1", at, at + bytes.length) === bytes;

/** The first page of a swap space, as mkswap writes it. */
export function swapHeader({ lastPage, uuid, label, byteOrder }: SwapSpace): Buffer {
  const labelBytes = Buffer.from(label, "utf8");
  const uuidBytes = Buffer.from(uuid.replaceAll("-", ""), "hex");
  if (labelBytes.length > LABEL_BYTES || uuidBytes.length !== UUID_BYTES || lastPage < LEAST_PAGES) {
    throw new Fault("invalid-argument", `not a swap space: ${lastPage} pages, uuid ${uuid}, label ${label}`);
  }
  const page = Buffer.alloc(SWAP_PAGE_BYTES);
  const write = (value: number, at: number) =>
    byteOrder === "little" ? page.writeUInt32LE(value, at) : page.writeUInt32BE(value, at);
  write(1, AT.version);
  write(lastPage, AT.lastPage);
  uuidBytes.copy(page, AT.uuid);
  labelBytes.copy(page, AT.label);
  page.write(SIGNATURE, SIGNATURE_AT, "latin1");
  return page;
}

/** The swap space that fills a disk of `sizeBytes`. */
export const swapSpaceOf = (sizeBytes: number, uuid: string, label: string): SwapSpace => ({
  lastPage: Math.floor(sizeBytes / SWAP_PAGE_BYTES) - 1,
  uuid,
  label,
  byteOrder: "little",
});

/** Makes a sparse raw swap disk; Fault("already-exists") when something is there. Durable when it returns. */
export async function createSwapDisk(path: string, sizeBytes: number, swap: SwapSpace): Promise<void> {
  const header = swapHeader(swap);
  if ((swap.lastPage + 1) * SWAP_PAGE_BYTES > sizeBytes) {
    throw new Fault(
      "invalid-argument",
      `a swap space of ${swap.lastPage + 1} pages does not fit ${sizeBytes} bytes`,
    );
  }
  await createSparseFile(path, sizeBytes, file => file.write(header, 0, header.length, 0));
}

function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function textOfLabel(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}
