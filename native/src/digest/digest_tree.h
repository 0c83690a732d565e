// What is known of the leaves of one file: unknown, all zero, or data with a digest. Safe for several threads.
//
// A leaf has 256 KiB, the last of a file may be short. Memory is 32 bytes per leaf that holds data and next to none per
// leaf that does not: the digest of a zero leaf is 32 zero bytes, and so is untouched memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <vector>

#include "hash.h"

namespace ferry {

constexpr std::int64_t kLeafBytes = 256 << 10;

enum class LeafState : std::uint8_t { kUnknown, kZero, kData };

struct LeafRange {
  std::int64_t first;
  std::int64_t count;
  std::int64_t end() const { return first + count; }
};

struct LeafRun : LeafRange {
  LeafState state;
};

class DigestTree {
 public:
  DigestTree(Algorithm algorithm, std::int64_t size_bytes);
  ~DigestTree();
  DigestTree(const DigestTree&) = delete;
  DigestTree& operator=(const DigestTree&) = delete;

  Algorithm algorithm() const { return algorithm_; }
  std::int64_t size_bytes() const { return size_bytes_; }
  std::int64_t leaf_count() const { return leaf_count_; }
  std::int64_t LeafBytesAt(std::int64_t leaf) const { return std::min(kLeafBytes, size_bytes_ - leaf * kLeafBytes); }

  bool IsComplete() const;
  // Bytes in known leaves that are not all zero.
  std::int64_t DataBytes() const;
  LeafState StateOf(std::int64_t leaf) const;
  // One after the other; zeros for a leaf that is zero or unknown.
  std::vector<Digest> DigestsOf(LeafRange range) const;
  // How many leaves from here on are known, `limit` at most.
  std::int64_t KnownFrom(std::int64_t first, std::int64_t limit) const;
  // The run of one state that begins here, `limit` leaves at most.
  LeafRun RunFrom(std::int64_t first, std::int64_t limit) const;

  void Set(std::int64_t leaf, const Digest& digest);
  void SetZero(LeafRange range);
  // Over (domain, algorithm, size, leaf size, leaves in order); every leaf must be known.
  Digest Root() const;

 private:
  LeafState At(std::int64_t leaf) const;
  void Mark(std::int64_t leaf, const Digest& digest);

  const Algorithm algorithm_;
  const std::int64_t size_bytes_;
  const std::int64_t leaf_count_;
  Digest* digests_ = nullptr;  // mapped: pages that nobody wrote to cost nothing

  mutable std::mutex mutex_;  // guards what follows, and the digests
  std::vector<bool> known_;
  std::int64_t known_leaves_ = 0;
  std::int64_t data_bytes_ = 0;
};

}  // namespace ferry
