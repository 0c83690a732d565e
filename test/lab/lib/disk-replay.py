"""Writes to an image what the log of a qemu `blklogwrites` node says was flushed: disk-replay.py LOG IMAGE.

The log has dm-log-writes' format: a superblock, then entries of one sector each, with their data behind them. Everything up
to the last flush reached the disk; what came later was lost. Says how many entries were kept and lost.
"""

import struct
import sys

MAGIC = 0x6A736677736872
FLUSH, DISCARD = 1, 4


def entries_of(log):
    magic, _version, count, sector_bytes = struct.unpack("<QQQI", log.read(28))
    if magic != MAGIC:
        sys.exit("this is no log of writes")
    position = sector_bytes
    for _ in range(count):
        log.seek(position)
        sector, sectors, flags, _length = struct.unpack("<QQQQ", log.read(32))
        position += sector_bytes
        yield sector * sector_bytes, sectors * sector_bytes, flags, position
        if not flags & DISCARD:
            position += sectors * sector_bytes


def main(log_path, image_path):
    with open(log_path, "rb") as log, open(image_path, "r+b") as image:
        entries = list(entries_of(log))
        kept = max((index + 1 for index, entry in enumerate(entries) if entry[2] & FLUSH), default=0)
        for offset, length, flags, data in entries[:kept]:
            if length == 0:
                continue
            image.seek(offset)
            log.seek(data)
            image.write(bytes(length) if flags & DISCARD else log.read(length))
    print(f"kept {kept} writes and flushes, lost {len(entries) - kept}")


main(*sys.argv[1:])
