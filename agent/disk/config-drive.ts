/**
 * Recognises a config drive (the metadata disk of OpenStack and cloud-init) by its file system's label `config-2`.
 *
 * The label alone is read, at the two places where iso9660 and FAT keep it; the file system itself is not parsed.
 */

export type ConfigDriveKind = "iso9660" | "vfat";

/** Bytes from the start of the disk that `configDriveKind` needs. */
export const CONFIG_DRIVE_PROBE_BYTES = 34 * 1024;

const LABEL = "config-2";
const ISO_DESCRIPTOR_AT = 32 * 1024;
const ISO_LABEL = { at: ISO_DESCRIPTOR_AT + 40, bytes: 32 } as const;
/** Where the boot sector says its type, and its label, for FAT12/16 and for FAT32. */
const FAT_LAYOUTS = [
  { typeAt: 54, labelAt: 43 },
  { typeAt: 82, labelAt: 71 },
] as const;
const FAT_LABEL_BYTES = 11;

/** The kind of config drive that a disk's beginning shows; undefined for any other disk. */
export function configDriveKind(head: Buffer): ConfigDriveKind | undefined {
  if (isIso9660(head) && isLabel(textAt(head, ISO_LABEL.at, ISO_LABEL.bytes))) return "iso9660";
  return fatLabels(head).some(isLabel) ? "vfat" : undefined;
}

/** Does a disk begin as an iso9660 image (install media, for one)? */
export const isIso9660 = (head: Buffer): boolean => textAt(head, ISO_DESCRIPTOR_AT + 1, 5) === "CD001";

function fatLabels(head: Buffer): string[] {
  const hasBootSignature = head.length >= 512 && head.readUInt16LE(510) === 0xaa55;
  if (!hasBootSignature) return [];
  return FAT_LAYOUTS.filter(({ typeAt }) => textAt(head, typeAt, 3) === "FAT").map(({ labelAt }) =>
    textAt(head, labelAt, FAT_LABEL_BYTES),
  );
}

const isLabel = (text: string): boolean => text.trim().toLowerCase() === LABEL;

const textAt = (bytes: Buffer, at: number, length: number): string =>
  bytes.toString("latin1", at, at + length);
