// What has to be sent of all files, in segments: gapless runs of leaves, each verified and acknowledged as one.
//
// Leaves that the target has verified are left out, holes cost nothing. A segment ends when it has 32 MiB of data, which
// bounds what a lost connection can cost. Files take turns; any number of connections share one queue.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "data_ranges.h"
#include "digest_tree.h"

namespace ferry {

// A file at the source. The descriptor is the caller's, and open for as long as the queue is used.
struct SourceFile {
  SourceFile(std::uint16_t place, int descriptor, std::shared_ptr<DigestTree> known, std::shared_ptr<DigestTree> before)
      : index(place), fd(descriptor), digests(std::move(known)), older(std::move(before)), ranges(descriptor) {}

  const std::uint16_t index;
  const int fd;
  // Known leaves: what the target has verified, and what was read since.
  const std::shared_ptr<DigestTree> digests;
  // What the target has of an older source, leaf by leaf; empty unless it said so.
  const std::shared_ptr<DigestTree> older;
  DataRanges ranges;
  std::int64_t next_leaf = 0;
  std::atomic<std::int64_t> sent_bytes{0};
  std::atomic<std::int64_t> skipped_bytes{0};
};

struct Span : LeafRange {
  bool is_hole;
};

struct Segment {
  std::shared_ptr<SourceFile> file;
  LeafRange range;
  std::vector<Span> spans;
  // The target found these leaves wrong and asked for them again.
  bool is_resend = false;
};

class SegmentQueue {
 public:
  explicit SegmentQueue(Algorithm digests) : algorithm(digests) {}

  const Algorithm algorithm;
  std::shared_ptr<SourceFile> Add(std::uint16_t index, int fd, std::shared_ptr<DigestTree> digests,
                                  std::shared_ptr<DigestTree> older);
  std::optional<Segment> Next();
  // [sent, skipped] bytes of each file in the order in which they were added.
  std::vector<std::int64_t> Counts();
  // Verdicts that were good: a transfer that counts any has come forward.
  std::atomic<std::int64_t> verified{0};

 private:
  static std::optional<Segment> NextOf(const std::shared_ptr<SourceFile>& file);

  std::mutex mutex_;
  std::vector<std::shared_ptr<SourceFile>> files_;
  std::size_t turn_ = 0;
};

}  // namespace ferry
