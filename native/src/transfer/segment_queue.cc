#include "segment_queue.h"

#include <limits>

#include "file_leaves.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr std::int64_t kSegmentDataLeaves = 128;

// Skips what is known; the run of unknown leaves that is next.
LeafRange NextUnknown(const DigestTree& digests, std::int64_t leaf) {
  while (leaf < digests.leaf_count()) {
    const LeafRun run = digests.RunFrom(leaf, std::numeric_limits<std::int32_t>::max());
    if (run.state == LeafState::kUnknown) return run;
    leaf = run.end();
  }
  return {leaf, 0};
}

Segment CutSegment(const std::shared_ptr<SourceFile>& file, LeafRange unknown) {
  Segment segment{file, {unknown.first, 0}, {}};
  std::int64_t at = unknown.first;
  for (std::int64_t room = kSegmentDataLeaves; room > 0 && at < unknown.end();) {
    const auto data = NextDataLeaves(file->ranges, {at, unknown.end() - at});
    const std::int64_t data_begin = data ? data->first : unknown.end();
    if (data_begin > at) segment.spans.push_back({{at, data_begin - at}, true});
    at = data_begin;
    if (!data) break;
    const std::int64_t count = std::min(data->count, room);
    segment.spans.push_back({{at, count}, false});
    at += count;
    room -= count;
  }
  segment.range.count = at - segment.range.first;
  return segment;
}

}  // namespace

std::shared_ptr<SourceFile> SegmentQueue::Add(std::uint16_t index, int fd, std::shared_ptr<DigestTree> digests,
                                              std::shared_ptr<DigestTree> older) {
  auto file = std::make_shared<SourceFile>(index, fd, std::move(digests), std::move(older));
  std::lock_guard<std::mutex> guard(mutex_);
  files_.push_back(file);
  return file;
}

std::optional<Segment> SegmentQueue::Next() {
  std::lock_guard<std::mutex> guard(mutex_);
  for (std::size_t tries = files_.size(); tries > 0; tries--) {
    const auto& file = files_[turn_++ % files_.size()];
    if (auto segment = NextOf(file)) return segment;
  }
  return std::nullopt;
}

std::vector<std::int64_t> SegmentQueue::Counts() {
  std::lock_guard<std::mutex> guard(mutex_);
  std::vector<std::int64_t> counts;
  for (const auto& file : files_) counts.insert(counts.end(), {file->sent_bytes, file->skipped_bytes});
  return counts;
}

std::optional<Segment> SegmentQueue::NextOf(const std::shared_ptr<SourceFile>& file) {
  const LeafRange unknown = NextUnknown(*file->digests, file->next_leaf);
  if (unknown.count == 0) return std::nullopt;
  try {
    Segment segment = CutSegment(file, unknown);
    file->next_leaf = segment.range.end();
    return segment;
  } catch (const SystemFailure& failure) {
    throw DiskFailure(failure, file->index, unknown.first * kLeafBytes, unknown.count * kLeafBytes);
  }
}

}  // namespace ferry
