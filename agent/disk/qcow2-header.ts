/**
 * Our own reader of qcow2 headers (SAFETY R19): what an image claims to be, before QEMU is asked anything.
 *
 * Input is hostile: every offset and length is checked against the bytes at hand and against QEMU's own limits, and
 * whatever does not add up is Fault("refused"). It reads the first cluster only and follows no reference.
 * Layout: docs/interop/qcow2.txt of QEMU; all numbers big-endian.
 */

import { Fault } from "../../proto/fault.js";

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly virtualSizeBytes: number;
  readonly clusterBits: number;
  /** As written in the image; may be relative, a protocol or `json:`. Undefined when there is none. */
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  /** Any kind of encryption, from the old AES to LUKS. */
  readonly isEncrypted: boolean;
  readonly hasExternalDataFile: boolean;
  readonly snapshotCount: number;
  readonly bitmapCount: number;
  /** Not closed cleanly: reference counts are repaired at the next writable open. */
  readonly isDirty: boolean;
  readonly isCorrupt: boolean;
  /** Numbers of incompatible feature bits that this reader does not know. */
  readonly unknownFeatures: readonly number[];
}

const MAGIC = 0x514649fb;
const V2_HEADER_BYTES = 72;
const V3_HEADER_BYTES = 104;

/** The largest first cluster, and so all that a header can occupy. */
export const MAX_QCOW2_HEADER_BYTES = 2 * 1024 * 1024;

/** QEMU's limits (block/qcow2.h). */
const CLUSTER_BITS = { least: 9, most: 21 } as const;
const MAX_BACKING_NAME_BYTES = 1023;
const MAX_L1_BYTES = 32 * 1024 * 1024;
const MAX_REFCOUNT_TABLE_BYTES = 8 * 1024 * 1024;
const MAX_SNAPSHOTS = 65_536;
const MAX_BITMAPS = 65_535;
const MAX_REFCOUNT_ORDER = 6;

const INCOMPATIBLE = {
  dirty: 0,
  corrupt: 1,
  externalDataFile: 2,
  compressionType: 3,
  extendedL2: 4,
} as const;
const KNOWN_FEATURES: readonly number[] = Object.values(INCOMPATIBLE);

const EXTENSION = { end: 0, backingFormat: 0xe2792aca, bitmaps: 0x23852875, encryption: 0x0537be77 } as const;

/** True when bytes start as a qcow2 image does: a question about content, never a reason to interpret it. */
export const looksLikeQcow2 = (bytes: Uint8Array): boolean => {
  const view = viewOf(bytes);
  return view.byteLength >= 4 && view.getUint32(0) === MAGIC;
};

/** `bytes`: the first cluster of the file, or as much of it as there is. */
export function readQcow2Header(bytes: Uint8Array): Qcow2Header {
  if (!looksLikeQcow2(bytes)) {
    throw new Fault("refused", "the image lies about its format: declared qcow2, but it is none", {
      have: "no qcow2 signature",
      need: "a qcow2 image",
      fix: "declare the true format",
    });
  }
  const view = viewOf(bytes);
  demand(view.byteLength >= V2_HEADER_BYTES, "it is cut short");
  const version = view.getUint32(4);
  demand(version === 2 || version === 3, `version ${version}`);
  demand(version === 2 || view.byteLength >= V3_HEADER_BYTES, "it is cut short");
  const clusterBits = view.getUint32(20);
  demand(
    clusterBits >= CLUSTER_BITS.least && clusterBits <= CLUSTER_BITS.most,
    `clusters of 2^${clusterBits} bytes`,
  );
  refuseOutrageousTables(view);
  const features = version === 3 ? readFeatures(view) : [];
  const headerBytes = version === 3 ? readHeaderLength(view, clusterBits) : V2_HEADER_BYTES;
  const backing = readBackingFile(view, clusterBits, headerBytes);
  const extensions = readExtensions(view, headerBytes, Math.min(2 ** clusterBits, backing.offset));
  return {
    version,
    virtualSizeBytes: readSize(view, 24),
    clusterBits,
    backingFile: backing.name,
    ...extensions,
    isEncrypted: view.getUint32(32) !== 0 || extensions.isEncrypted,
    hasExternalDataFile: features.includes(INCOMPATIBLE.externalDataFile),
    snapshotCount: view.getUint32(60),
    isDirty: features.includes(INCOMPATIBLE.dirty),
    isCorrupt: features.includes(INCOMPATIBLE.corrupt),
    unknownFeatures: features.filter(bit => !KNOWN_FEATURES.includes(bit)),
  };
}

function refuseOutrageousTables(view: DataView): void {
  demand(view.getUint32(36) * 8 <= MAX_L1_BYTES, "its L1 table is too large");
  const clusterBytes = 2 ** view.getUint32(20);
  demand(view.getUint32(56) * clusterBytes <= MAX_REFCOUNT_TABLE_BYTES, "its refcount table is too large");
  demand(view.getUint32(60) <= MAX_SNAPSHOTS, `${view.getUint32(60)} snapshots`);
}

/** Numbers of the incompatible feature bits that are set. */
function readFeatures(view: DataView): number[] {
  const word = view.getBigUint64(72);
  return Array.from({ length: 64 }, (_, bit) => bit).filter(bit => (word >> BigInt(bit)) & 1n);
}

function readHeaderLength(view: DataView, clusterBits: number): number {
  demand(view.getUint32(96) <= MAX_REFCOUNT_ORDER, `refcount order ${view.getUint32(96)}`);
  const length = view.getUint32(100);
  const isSane = length >= V3_HEADER_BYTES && length % 8 === 0 && length <= 2 ** clusterBits;
  demand(isSane && length <= view.byteLength, `a header of ${length} bytes`);
  return length;
}

interface BackingName {
  readonly name: string | undefined;
  /** Where extensions must have ended. */
  readonly offset: number;
}

function readBackingFile(view: DataView, clusterBits: number, headerBytes: number): BackingName {
  const offset = readSize(view, 8);
  if (offset === 0) return { name: undefined, offset: Number.POSITIVE_INFINITY };
  const length = view.getUint32(16);
  const end = offset + length;
  const isInside = offset >= headerBytes && end <= 2 ** clusterBits && end <= view.byteLength;
  demand(isInside && length <= MAX_BACKING_NAME_BYTES, "its backing file name is out of bounds");
  return { name: readText(view, offset, length, "its backing file name"), offset };
}

function readExtensions(view: DataView, start: number, limit: number) {
  let backingFormat: string | undefined;
  let bitmapCount = 0;
  let isEncrypted = false;
  const end = Math.min(limit, view.byteLength);
  for (let at = start; at + 8 <= end; ) {
    const [type, length] = [view.getUint32(at), view.getUint32(at + 4)];
    if (type === EXTENSION.end) break;
    const data = at + 8;
    demand(data + length <= end, "a header extension is out of bounds");
    if (type === EXTENSION.backingFormat) {
      backingFormat = readText(view, data, length, "its backing format");
    } else if (type === EXTENSION.bitmaps) {
      demand(length >= 4 && view.getUint32(data) <= MAX_BITMAPS, "its bitmaps extension");
      bitmapCount = view.getUint32(data);
    } else if (type === EXTENSION.encryption) isEncrypted = true;
    at = data + Math.ceil(length / 8) * 8;
  }
  return { backingFormat, bitmapCount, isEncrypted };
}

function readText(view: DataView, offset: number, length: number, what: string): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
  const text = Buffer.from(bytes).toString("utf8");
  const isPlain = Buffer.from(text, "utf8").equals(bytes) && !text.includes("\0") && text.length > 0;
  demand(isPlain, `${what} is not text`);
  return text;
}

function readSize(view: DataView, offset: number): number {
  const size = view.getBigUint64(offset);
  demand(size <= BigInt(Number.MAX_SAFE_INTEGER), `a size of ${size} bytes`);
  return Number(size);
}

function demand(condition: boolean, what: string): asserts condition {
  if (condition) return;
  throw new Fault("refused", `the qcow2 header makes no sense: ${what}`, {
    have: what,
    need: "a sound qcow2 image",
    fix: "check the image with qemu-img check",
  });
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
