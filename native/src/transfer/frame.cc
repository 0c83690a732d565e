#include "frame.h"

#include <endian.h>
#include <string.h>

#include <string>

#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr std::uint32_t kMagic = 0x31595246;  // "FRY1"
constexpr std::int64_t kMaxOffset = std::int64_t{1} << 53;
constexpr std::uint8_t kKnownFlags = kFlagResend | kFlagCompare;

struct TypeRow {
  const char* name;
  std::uint32_t limit_bytes;
};

constexpr std::uint32_t kKib = 1024;

// The one table of frame types, by their number.
constexpr TypeRow kTypes[] = {
    {"", 0},
    {"hello", 256 * kKib},
    {"welcome", 1 * kKib},
    {"open", 4 * kKib},
    {"have", 128 * kKib},
    {"have-zero", 8},
    {"ready", 0},
    {"data", kMaxPayloadBytes},
    {"zero", 8},
    {"seal", 8},
    {"verified", 8},
    {"resend", 16 * kKib},
    {"done", 0},
    {"root-ok", 0},
    {"error", 16 * kKib},
    {"ping", 0},
    {"echo", 0},
    {"burst", kMaxPayloadBytes},
    {"same", 8},
};
constexpr std::size_t kTypeCount = sizeof(kTypes) / sizeof(kTypes[0]);

void Put16(std::uint8_t* into, std::uint16_t value) {
  value = htole16(value);
  memcpy(into, &value, sizeof(value));
}

void Put32(std::uint8_t* into, std::uint32_t value) {
  value = htole32(value);
  memcpy(into, &value, sizeof(value));
}

void Put64(std::uint8_t* into, std::uint64_t value) {
  value = htole64(value);
  memcpy(into, &value, sizeof(value));
}

std::uint16_t Get16(const std::uint8_t* from) {
  std::uint16_t value;
  memcpy(&value, from, sizeof(value));
  return le16toh(value);
}

std::uint32_t Get32(const std::uint8_t* from) {
  std::uint32_t value;
  memcpy(&value, from, sizeof(value));
  return le32toh(value);
}

std::uint64_t Get64(const std::uint8_t* from) {
  std::uint64_t value;
  memcpy(&value, from, sizeof(value));
  return le64toh(value);
}

const TypeRow& RowOf(FrameType type) { return kTypes[static_cast<std::size_t>(type)]; }

}  // namespace

void EncodeHeader(const FrameHeader& header, std::uint8_t* into) {
  Put32(into, kMagic);
  into[4] = static_cast<std::uint8_t>(header.type);
  into[5] = header.flags;
  Put16(into + 6, header.file);
  Put32(into + 8, header.generation);
  Put32(into + 12, header.length);
  Put32(into + 16, header.wire);
  Put64(into + 20, static_cast<std::uint64_t>(header.offset));
  memcpy(into + 28, header.digest.data(), kDigestBytes);
}

FrameHeader DecodeHeader(const std::uint8_t* from) {
  if (Get32(from) != kMagic) throw ProtocolFailure("not a frame (wrong magic number)");
  const std::uint8_t code = from[4];
  if (code == 0 || code >= kTypeCount) throw ProtocolFailure("unknown frame type " + std::to_string(code));
  FrameHeader header;
  header.type = static_cast<FrameType>(code);
  const TypeRow& row = RowOf(header.type);
  const std::string frame = std::string(row.name) + " frame";
  header.flags = from[5];
  if ((header.flags & ~kKnownFlags) != 0) {
    throw ProtocolFailure(frame + " with unknown flags " + std::to_string(header.flags));
  }
  header.file = Get16(from + 6);
  header.generation = Get32(from + 8);
  header.length = Get32(from + 12);
  if (header.length > row.limit_bytes) {
    throw ProtocolFailure(frame + " of " + std::to_string(header.length) + " bytes, limit " +
                          std::to_string(row.limit_bytes));
  }
  header.wire = Get32(from + 16);
  if (header.wire > header.length) throw ProtocolFailure(frame + " that is longer than its payload");
  if (header.is_compressed() && (header.type != FrameType::kData || header.wire == 0)) {
    throw ProtocolFailure(frame + " is compressed");
  }
  const std::uint64_t offset = Get64(from + 20);
  if (offset > static_cast<std::uint64_t>(kMaxOffset)) {
    throw ProtocolFailure(frame + " at offset " + std::to_string(offset));
  }
  header.offset = static_cast<std::int64_t>(offset);
  memcpy(header.digest.data(), from + 28, kDigestBytes);
  return header;
}

void EncodeLength(std::int64_t length, std::uint8_t* into) { Put64(into, static_cast<std::uint64_t>(length)); }

std::int64_t DecodeLength(const FrameHeader& header, const std::uint8_t* payload) {
  const std::string frame = std::string(RowOf(header.type).name) + " frame";
  if (header.length != 8) throw ProtocolFailure(frame + " without a length");
  const std::uint64_t length = Get64(payload);
  if (length > static_cast<std::uint64_t>(kMaxOffset)) throw ProtocolFailure(frame + " over too many bytes");
  return static_cast<std::int64_t>(length);
}

}  // namespace ferry
