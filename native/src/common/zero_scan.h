#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

namespace ferry {

// At memory speed: each byte is compared with the one before it.
inline bool AllZero(const std::uint8_t* bytes, std::size_t length) {
  return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

}  // namespace ferry
