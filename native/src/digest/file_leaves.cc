#include "file_leaves.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "zero_scan.h"

namespace ferry {

namespace {

// Large enough for a device; what comes out of the page cache is hashed while it is in the processor's own.
constexpr std::int64_t kDeviceLeaves = 4;
constexpr std::int64_t kCachedLeaves = 1;

int OpenDirect(int fd) {
  // The very file that is open, whatever its name is by now.
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return CheckedCall("open", open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT), path);
}

}  // namespace

std::optional<LeafRange> NextDataLeaves(DataRanges& ranges, LeafRange range) {
  const auto data = ranges.Next(range.first * kLeafBytes, range.end() * kLeafBytes);
  if (!data) return std::nullopt;
  const std::int64_t first = data->start / kLeafBytes;
  std::int64_t end = (data->end + kLeafBytes - 1) / kLeafBytes;
  // Extents that touch the same or the next leaf are one run of leaves.
  while (end < range.end()) {
    const auto next = ranges.Next(end * kLeafBytes, (end + 1) * kLeafBytes);
    if (!next) break;
    const auto longer = ranges.Next(next->start, range.end() * kLeafBytes);
    end = std::max(end + 1, longer ? (longer->end + kLeafBytes - 1) / kLeafBytes : end + 1);
  }
  return LeafRange{first, std::min(end, range.end()) - first};
}

void ReadFully(int fd, std::uint8_t* into, std::int64_t offset, std::int64_t length) {
  for (std::int64_t got = 0; got < length;) {
    const auto asked = static_cast<std::size_t>(length - got);
    const ssize_t count = CheckedCall("read", Uninterrupted([&] { return pread(fd, into + got, asked, offset + got); }));
    if (count == 0) throw SystemFailure(ENODATA, "read");  // truncated behind our back
    got += count;
  }
}

LeafReader::LeafReader(int fd, bool direct, Algorithm algorithm, std::int64_t size_bytes)
    : fd_(fd),
      size_bytes_(size_bytes),
      direct_(direct),
      own_(direct ? OpenDirect(fd) : -1),
      ranges_(fd),
      hasher_(algorithm),
      buffer_leaves_(direct ? kDeviceLeaves : kCachedLeaves),
      buffer_(MakeAlignedBuffer(static_cast<std::size_t>(buffer_leaves_ * kLeafBytes))) {}

// A hole and a missing tail look alike to SEEK_DATA: only what the file really has may count as zero.
void LeafReader::RequireSize(LeafRange range) const {
  const std::int64_t size = CheckedCall("lseek", static_cast<std::int64_t>(lseek(fd_, 0, SEEK_END)));
  if (range.first * kLeafBytes + BytesOf(range) > size) throw SystemFailure(ENODATA, "read");
}

LeafRange LeafReader::Load(LeafRange wanted) {
  const LeafRange loaded{wanted.first, std::min(wanted.count, buffer_leaves_)};
  const std::int64_t offset = loaded.first * kLeafBytes;
  if (!direct_) {
    ReadFully(fd_, buffer_.get(), offset, BytesOf(loaded));
    return loaded;
  }
  // Whole blocks are asked for; at the end of the file fewer bytes come.
  const std::int64_t wanted_bytes = BytesOf(loaded);
  for (std::int64_t got = 0; got < wanted_bytes;) {
    const auto asked = static_cast<std::size_t>(loaded.count * kLeafBytes - got);
    const ssize_t count = CheckedCall(
        "read", Uninterrupted([&] { return pread(own_.get(), buffer_.get() + got, asked, offset + got); }));
    if (count == 0) throw SystemFailure(ENODATA, "read");
    got += count;
  }
  return loaded;
}

std::optional<Digest> LeafReader::DigestOf(std::int64_t index, std::int64_t leaf) {
  const std::uint8_t* bytes = BytesAt(index);
  const auto length = static_cast<std::size_t>(BytesOf({leaf, 1}));
  if (AllZero(bytes, length)) return std::nullopt;
  return hasher_.Of(bytes, length);
}

std::int64_t LeafReader::BytesOf(LeafRange range) const {
  return std::min(range.end() * kLeafBytes, size_bytes_) - range.first * kLeafBytes;
}

}  // namespace ferry
