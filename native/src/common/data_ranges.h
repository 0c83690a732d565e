// Where a file has data: SEEK_DATA and SEEK_HOLE, one range after the other.
#pragma once

#include <cstdint>
#include <optional>

namespace ferry {

struct Range {
  std::int64_t start;
  std::int64_t end;
};

// The first data range at or after `from`, cut at `limit`; nothing when only a hole is left. What has no holes to
// tell of (block devices, old file systems) answers one range.
std::optional<Range> NextData(int fd, std::int64_t from, std::int64_t limit);

}  // namespace ferry
