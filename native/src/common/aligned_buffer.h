// Memory that may be read into with O_DIRECT.
#pragma once

#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace ferry {

// Enough for every device that reads in blocks of 512 or 4096 bytes.
constexpr std::size_t kBlockBytes = 4096;

struct FreeMemory {
  void operator()(std::uint8_t* memory) const { free(memory); }
};
using AlignedBuffer = std::unique_ptr<std::uint8_t, FreeMemory>;

inline AlignedBuffer MakeAlignedBuffer(std::size_t size) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kBlockBytes, size) != 0) throw std::bad_alloc();
  return AlignedBuffer(static_cast<std::uint8_t*>(memory));
}

}  // namespace ferry
