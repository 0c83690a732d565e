// The wire: frames of a fixed 60-byte header and a bounded payload, little endian, inside TLS 1.3.
//
//   magic u32 | type u8 | flags u8 | file u16 | generation u32 | length u32 | wire u32 | offset u64 | digest[32]
//
// `length` is the payload as it is meant, `wire` as it travels: less when a `data` frame is compressed (zstd, if hello and
// welcome agreed on it). A `data` frame carries at most one leaf and the digest of the *whole* leaf, so what a frame does not carry of
// its leaf is zero. Every limit is checked from the header alone. What is said when: agent/transfer/protocol.ts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hash.h"

namespace ferry {

constexpr std::size_t kHeaderBytes = 60;
constexpr std::size_t kMaxPayloadBytes = 256 << 10;

enum class FrameType : std::uint8_t {
  kHello = 1,
  kWelcome,
  kOpen,
  kHave,
  kHaveZero,
  kReady,
  kData,
  kZero,
  kSeal,
  kVerified,
  kResend,
  kDone,
  kRootOk,
  kError,
  kPing,
  kEcho,
  kBurst,
  kSame,
};

// The leaf was asked for again: the target clears it before it writes.
constexpr std::uint8_t kFlagResend = 1;
// In `ready`: what was said to be there is of an older source; compare, and say what is the same.
constexpr std::uint8_t kFlagCompare = 2;

struct FrameHeader {
  FrameType type = FrameType::kPing;
  std::uint8_t flags = 0;
  std::uint16_t file = 0;        // index into the file list of the hello
  std::uint32_t generation = 0;  // which pass over the file; 0 in a cold copy
  std::uint32_t length = 0;
  std::uint32_t wire = 0;
  bool is_compressed() const { return wire < length; }
  std::int64_t offset = 0;  // bytes in the file
  Digest digest{};
};

// Writes kHeaderBytes.
void EncodeHeader(const FrameHeader& header, std::uint8_t* into);
// Reads kHeaderBytes; throws a TransferFailure that names what is wrong with them.
FrameHeader DecodeHeader(const std::uint8_t* from);

// The 8-byte length that `zero`, `same`, `seal` and `verified` carry.
void EncodeLength(std::int64_t length, std::uint8_t* into);
std::int64_t DecodeLength(const FrameHeader& header, const std::uint8_t* payload);

}  // namespace ferry
