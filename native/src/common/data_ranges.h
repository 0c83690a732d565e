// Where a file has data: SEEK_DATA and SEEK_HOLE, one range after the other.
#pragma once

#include <cstdint>
#include <optional>

namespace ferry {

struct Range {
  std::int64_t start;
  std::int64_t end;
};

// Walks the data ranges of a file that does not change. To find where a range ends the kernel may have to look at each of
// its pages: it is not asked twice about one range, and not at all about a file that occupies its whole size.
class DataRanges {
 public:
  explicit DataRanges(int fd);

  // The first data range at or after `from`, cut at `limit`; nothing when only a hole is left. What has no holes to
  // tell of (block devices, old file systems) answers one range.
  std::optional<Range> Next(std::int64_t from, std::int64_t limit);

 private:
  const int fd_;
  Range last_;
};

}  // namespace ferry
