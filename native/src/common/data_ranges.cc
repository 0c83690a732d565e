#include "data_ranges.h"

#include <unistd.h>

#include <algorithm>

#include "system_call.h"

namespace ferry {

std::optional<Range> NextData(int fd, std::int64_t from, std::int64_t limit) {
  if (from >= limit) return std::nullopt;
  const std::int64_t start = lseek(fd, from, SEEK_DATA);
  if (start < 0 && errno == EINVAL) return Range{from, limit};
  if (start < 0 && errno == ENXIO) return std::nullopt;
  CheckedCall("lseek", start);
  if (start >= limit) return std::nullopt;
  const std::int64_t end = CheckedCall("lseek", static_cast<std::int64_t>(lseek(fd, start, SEEK_HOLE)));
  return Range{start, std::min(end, limit)};
}

}  // namespace ferry
