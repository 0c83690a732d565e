#include "data_ranges.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "system_call.h"

namespace ferry {

namespace {

constexpr std::int64_t kStatBlockBytes = 512;

// Empty unless there can be no hole worth looking for.
Range WholeIfFull(int fd) {
  struct stat facts;
  if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return {0, 0};
  const bool is_full = facts.st_blocks * kStatBlockBytes >= facts.st_size;
  return {0, is_full ? static_cast<std::int64_t>(facts.st_size) : 0};
}

}  // namespace

DataRanges::DataRanges(int fd) : fd_(fd), last_(WholeIfFull(fd)) {}

std::optional<Range> DataRanges::Next(std::int64_t from, std::int64_t limit) {
  if (from >= limit) return std::nullopt;
  if (from >= last_.start && from < last_.end) return Range{from, std::min(last_.end, limit)};
  const std::int64_t start = lseek(fd_, from, SEEK_DATA);
  if (start < 0 && errno == EINVAL) return Range{from, limit};
  if (start < 0 && errno == ENXIO) return std::nullopt;
  CheckedCall("lseek", start);
  if (start >= limit) return std::nullopt;
  const std::int64_t end = CheckedCall("lseek", static_cast<std::int64_t>(lseek(fd_, start, SEEK_HOLE)));
  last_ = {start, end};
  return Range{start, std::min(end, limit)};
}

}  // namespace ferry
