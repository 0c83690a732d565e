// zstd for what travels: one leaf at a time, each by itself, so that any may be lost or sent again. A build without
// libzstd's headers has neither direction, says so in its hello, and never meets a compressed frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry {

bool HasZstd();

// One leaf after the other; not for two threads at once.
class LeafCompressor {
 public:
  LeafCompressor();
  ~LeafCompressor();
  // How many bytes it wrote to `into`, which has room for `length`; 0 when less than a sixteenth would be saved.
  std::size_t Compress(const std::uint8_t* bytes, std::size_t length, std::uint8_t* into);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class LeafExpander {
 public:
  LeafExpander();
  ~LeafExpander();
  // Gives exactly `length` bytes and never writes more, whatever the bytes say of themselves; else a ProtocolFailure.
  void Expand(const std::uint8_t* bytes, std::size_t count, std::uint8_t* into, std::size_t length);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry
