// Whole writes, and writes that leave out what is zero: for a file in which what was never written is a hole.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ferry {

void WriteFully(int fd, const std::uint8_t* bytes, std::size_t length, std::int64_t offset);
// Writes each piece that holds anything, at the grain of a file system block.
void WriteNonZero(int fd, const std::uint8_t* bytes, std::size_t length, std::int64_t offset);

}  // namespace ferry
