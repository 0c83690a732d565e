/**
 * `Files` over the native addons. Nothing is decided here; it only gives the addon's answers their final shape.
 */

import { loadFastio, type RawFacts } from "../../native/lib/fastio.js";
import { loadTransfer } from "../../native/lib/transfer.js";
import type { Extent, FileFacts, Files } from "./files.js";

/** The bytes of an image file on which QEMU takes its own locks. */
const QEMU_LOCK_START = 100;
const QEMU_LOCK_LENGTH = 110;

/** @throws AddonUnavailableError when an addon was not built. */
export function nativeFiles(): Files {
  const addon = loadFastio();
  const { DigestTree, algorithms } = loadTransfer();
  return {
    extents: async (fd, offset, length) => pairs(await addon.extents(fd, offset, length)),
    punchHole: addon.punchHole,
    zeroRange: addon.zeroRange,
    allocate: addon.allocate,
    clone: addon.clone,
    copyRange: addon.copyRange,
    dropCache: addon.dropCache,
    facts: async fd => factsOf(await addon.facts(fd)),
    fileSystem: addon.fileSystem,
    directAlignment: addon.directAlignment,
    newDigestTree: (sizeBytes, algorithm = algorithms[0] ?? "") => new DigestTree(algorithm, sizeBytes),
    takeWriteLease: addon.takeWriteLease,
    holdsWriteLease: addon.holdsWriteLease,
    takeQemuLock: fd => addon.takeWriteLock(fd, QEMU_LOCK_START, QEMU_LOCK_LENGTH),
    lockExclusive: addon.lockExclusive,
    renameNoReplace: addon.renameNoReplace,
    openBeneath: addon.openBeneath,
    notify: addon.notify,
  };
}

function pairs(bounds: Float64Array): Extent[] {
  const extents: Extent[] = [];
  for (let index = 0; index + 1 < bounds.length; index += 2) {
    extents.push({ start: bounds[index] ?? 0, end: bounds[index + 1] ?? 0 });
  }
  return extents;
}

function factsOf(raw: RawFacts): FileFacts {
  return {
    device: raw.device,
    inode: String(raw.inode),
    birthNs: String(raw.birthNs),
    sizeBytes: raw.sizeBytes,
    allocatedBytes: raw.allocatedBytes,
    mtimeNs: String(raw.mtimeNs),
    ctimeNs: String(raw.ctimeNs),
  };
}
