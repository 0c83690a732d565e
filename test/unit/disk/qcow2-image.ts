/** First clusters of qcow2 images, sound or not, for tests that need no qemu-img. */

export interface Qcow2Wish {
  readonly version?: 2 | 3;
  readonly incompatible?: bigint;
  readonly cryptMethod?: number;
  readonly snapshots?: number;
  readonly bitmaps?: number;
  readonly backingFile?: string | Buffer;
  readonly backingFormat?: string;
  readonly extensions?: readonly (readonly [type: number, data: Buffer])[];
}

const CLUSTER_BYTES = 65_536;
const BACKING_NAME_AT = 512;

export function qcow2Image(wish: Qcow2Wish): Buffer {
  const image = Buffer.alloc(CLUSTER_BYTES);
  const { version = 3, backingFile } = wish;
  image.write("QFI\xfb", 0, "latin1");
  image.writeUInt32BE(version, 4);
  image.writeUInt32BE(16, 20);
  image.writeBigUInt64BE(64n * 1024n * 1024n, 24);
  image.writeUInt32BE(wish.cryptMethod ?? 0, 32);
  image.writeUInt32BE(1, 36);
  image.writeUInt32BE(1, 56);
  image.writeUInt32BE(wish.snapshots ?? 0, 60);
  const headerBytes = version === 3 ? 104 : 72;
  if (version === 3) {
    image.writeBigUInt64BE(wish.incompatible ?? 0n, 72);
    image.writeUInt32BE(4, 96);
    image.writeUInt32BE(headerBytes, 100);
  }
  if (backingFile !== undefined) {
    const bytes = typeof backingFile === "string" ? Buffer.from(backingFile) : backingFile;
    image.writeBigUInt64BE(BigInt(BACKING_NAME_AT), 8);
    image.writeUInt32BE(bytes.length, 16);
    bytes.copy(image, BACKING_NAME_AT);
  }
  writeExtensions(image, headerBytes, wish);
  return image;
}

function writeExtensions(image: Buffer, start: number, wish: Qcow2Wish): void {
  const extensions = [...(wish.extensions ?? [])];
  if (wish.backingFormat !== undefined) extensions.push([0xe2792aca, Buffer.from(wish.backingFormat)]);
  if (wish.bitmaps !== undefined) {
    const data = Buffer.alloc(24);
    data.writeUInt32BE(wish.bitmaps);
    extensions.push([0x23852875, data]);
  }
  let at = start;
  for (const [type, data] of extensions) {
    image.writeUInt32BE(type, at);
    image.writeUInt32BE(data.length, at + 4);
    data.copy(image, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
}
