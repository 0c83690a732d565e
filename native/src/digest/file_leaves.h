// Reading a file's leaves where it lies: holes are known to be zero and cost nothing, data is read in whole leaves, past
// the page cache when asked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "aligned_buffer.h"
#include "data_ranges.h"
#include "digest_tree.h"
#include "system_call.h"

namespace ferry {

// What an extent touches, in whole leaves; the next one at or after `range.first`, nothing when only a hole is left.
std::optional<LeafRange> NextDataLeaves(DataRanges& ranges, LeafRange range);

// Reads [offset, offset + length) completely; throws ENODATA when the file ends before.
void ReadFully(int fd, std::uint8_t* into, std::int64_t offset, std::int64_t length);

// Digests leaves of an open file. Owns one buffer, so it is cheap to use again and not for two threads at once.
class LeafReader {
 public:
  // `direct` opens the same file once more with O_DIRECT.
  LeafReader(int fd, bool direct, Algorithm algorithm, std::int64_t size_bytes);

  // Tells `found(leaf, digest, bytes)` of each leaf that is not all zero, in order; holes are not read. Returns the bytes read.
  template <class Found>
  std::int64_t Read(LeafRange range, Found found) {
    RequireSize(range);
    std::int64_t bytes_read = 0;
    while (const auto data = NextDataLeaves(ranges_, range)) {
      bytes_read += ReadAll(*data, found);
      range = {data->end(), range.end() - data->end()};
    }
    return bytes_read;
  }

  // The same without asking where the holes are: for what is known to hold data.
  template <class Found>
  std::int64_t ReadAll(LeafRange range, Found found) {
    for (std::int64_t leaf = range.first; leaf < range.end();) {
      const LeafRange loaded = Load({leaf, range.end() - leaf});
      for (std::int64_t index = 0; index < loaded.count; index++) {
        const auto digest = DigestOf(index, loaded.first + index);
        if (digest) found(loaded.first + index, *digest, BytesAt(index));
      }
      leaf += loaded.count;
    }
    return BytesOf(range);
  }

 private:
  void RequireSize(LeafRange range) const;
  LeafRange Load(LeafRange wanted);
  const std::uint8_t* BytesAt(std::int64_t index) const { return buffer_.get() + index * kLeafBytes; }
  std::optional<Digest> DigestOf(std::int64_t index, std::int64_t leaf);
  std::int64_t BytesOf(LeafRange range) const;

  const int fd_;
  const std::int64_t size_bytes_;
  const bool direct_;
  const Descriptor own_;
  DataRanges ranges_;
  Hasher hasher_;
  const std::int64_t buffer_leaves_;
  AlignedBuffer buffer_;
};

}  // namespace ferry
