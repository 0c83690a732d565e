/** Sizes as libvirt's XML writes them: a number, and a unit of 1000s or of 1024s. */

const KIB_PER_UNIT: Readonly<Record<string, number>> = {
  b: 1 / 1024,
  bytes: 1 / 1024,
  KB: 1000 / 1024,
  k: 1,
  KiB: 1,
  MB: 1e6 / 1024,
  M: 1024,
  MiB: 1024,
  GB: 1e9 / 1024,
  G: 1024 ** 2,
  GiB: 1024 ** 2,
  TB: 1e12 / 1024,
  T: 1024 ** 3,
  TiB: 1024 ** 3,
};

/** Rounded up; undefined when it does not read. */
export function sizeKibOf(size: string | undefined, unit = "KiB"): number | undefined {
  const scale = Object.hasOwn(KIB_PER_UNIT, unit) ? KIB_PER_UNIT[unit] : undefined;
  if (scale === undefined || size === undefined || !/^\d{1,15}$/.test(size)) return undefined;
  return Math.ceil(Number(size) * scale);
}
