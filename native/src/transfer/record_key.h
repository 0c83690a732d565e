// What protects one direction of a TLS 1.3 connection after its handshake: RFC 8446 §5.2 (records), §5.3 (nonces) and
// §7.2 (the next key), with OpenSSL's ciphers.
//
// OpenSSL's own record layer copies each byte twice at either end. Here a record is sealed from where its content lies
// into what is sent, and opened from what was received to where its content belongs.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ferry {

enum class ContentType : std::uint8_t { kAlert = 21, kHandshake = 22, kData = 23 };

constexpr std::size_t kRecordHeaderBytes = 5;
// Of content, in one record.
constexpr std::size_t kRecordContentBytes = 16 << 10;
// The header, the content's type and the tag.
constexpr std::size_t kRecordOverheadBytes = kRecordHeaderBytes + 1 + 16;
// A peer may pad: this is the longest that it may send.
constexpr std::size_t kLongestRecordBytes = kRecordHeaderBytes + kRecordContentBytes + 256;

using Secret = std::vector<std::uint8_t>;

class RecordKey {
 public:
  enum class Use { kSeal, kOpen };

  // `secret` is the traffic secret of this direction.
  RecordKey(const SSL_CIPHER* suite, Secret secret, Use use);
  ~RecordKey();
  RecordKey(const RecordKey&) = delete;
  RecordKey& operator=(const RecordKey&) = delete;

  // Writes a record with up to kRecordContentBytes to `record`; how many bytes that are.
  std::size_t Seal(ContentType type, const std::uint8_t* content, std::size_t length, std::uint8_t* record);

  struct Opened {
    ContentType type;
    std::size_t length;
  };
  // Of a whole record, header and all, to `content`, which has room for `size` - kRecordOverheadBytes. What was written
  // there is worth nothing when this throws.
  Opened Open(const std::uint8_t* record, std::size_t size, std::uint8_t* content);

  // From the next record on: what the direction's sender has announced.
  void Update();

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const;
  };
  using Nonce = std::uint8_t[12];

  void Derive();
  void BeginRecord(const std::uint8_t* header);

  const EVP_CIPHER* const cipher_;
  const EVP_MD* const digest_;
  const Use use_;
  Secret secret_;
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
  Nonce base_;
  std::uint64_t sequence_ = 0;
};

}  // namespace ferry
