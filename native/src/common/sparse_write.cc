#include "sparse_write.h"

#include <unistd.h>

#include <algorithm>

#include "aligned_buffer.h"
#include "system_call.h"
#include "zero_scan.h"

namespace ferry {

void WriteFully(int fd, const std::uint8_t* bytes, std::size_t length, std::int64_t offset) {
  while (length > 0) {
    const ssize_t count = CheckedCall("write", Uninterrupted([&] { return pwrite(fd, bytes, length, offset); }));
    bytes += count;
    offset += count;
    length -= static_cast<std::size_t>(count);
  }
}

void WriteNonZero(int fd, const std::uint8_t* bytes, std::size_t length, std::int64_t offset) {
  const auto write = [&](std::size_t begin, std::size_t end) {
    if (end > begin) WriteFully(fd, bytes + begin, end - begin, offset + static_cast<std::int64_t>(begin));
  };
  std::size_t begin = 0;
  for (std::size_t at = 0; at < length; at += kBlockBytes) {
    if (!AllZero(bytes + at, std::min(kBlockBytes, length - at))) continue;
    write(begin, at);
    begin = std::min(at + kBlockBytes, length);
  }
  write(begin, length);
}

}  // namespace ferry
