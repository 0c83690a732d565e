#include "leaf_zstd.h"

#include <new>

#include "transfer_failure.h"

#ifdef FERRY_ZSTD
#include <zstd.h>
#endif

namespace ferry {

#ifdef FERRY_ZSTD

namespace {

// The fastest that halves a file system; a level more costs a quarter of the speed for a few per cent.
constexpr int kLevel = 1;
constexpr std::size_t kLeastSaving = 16;

}  // namespace

bool HasZstd() { return true; }

struct LeafCompressor::State {
  State() : context(ZSTD_createCCtx()) {
    if (context == nullptr) throw std::bad_alloc();
  }
  ~State() { ZSTD_freeCCtx(context); }
  ZSTD_CCtx* const context;
};

LeafCompressor::LeafCompressor() : state_(std::make_unique<State>()) {}
LeafCompressor::~LeafCompressor() = default;

std::size_t LeafCompressor::Compress(const std::uint8_t* bytes, std::size_t length, std::uint8_t* into) {
  // It gives up by itself when the room is too small.
  const std::size_t room = length - length / kLeastSaving;
  const std::size_t count = ZSTD_compressCCtx(state_->context, into, room, bytes, length, kLevel);
  return ZSTD_isError(count) != 0U ? 0 : count;
}

struct LeafExpander::State {
  State() : context(ZSTD_createDCtx()) {
    if (context == nullptr) throw std::bad_alloc();
  }
  ~State() { ZSTD_freeDCtx(context); }
  ZSTD_DCtx* const context;
};

LeafExpander::LeafExpander() : state_(std::make_unique<State>()) {}
LeafExpander::~LeafExpander() = default;

void LeafExpander::Expand(const std::uint8_t* bytes, std::size_t count, std::uint8_t* into, std::size_t length) {
  const std::size_t got = ZSTD_decompressDCtx(state_->context, into, length, bytes, count);
  if (ZSTD_isError(got) != 0U || got != length) throw ProtocolFailure("compressed frame that is not what it says");
}

#else

bool HasZstd() { return false; }

struct LeafCompressor::State {};
LeafCompressor::LeafCompressor() = default;
LeafCompressor::~LeafCompressor() = default;
std::size_t LeafCompressor::Compress(const std::uint8_t*, std::size_t, std::uint8_t*) { return 0; }

struct LeafExpander::State {};
LeafExpander::LeafExpander() = default;
LeafExpander::~LeafExpander() = default;
void LeafExpander::Expand(const std::uint8_t*, std::size_t, std::uint8_t*, std::size_t) {
  throw ProtocolFailure("compressed frame");
}

#endif

}  // namespace ferry
