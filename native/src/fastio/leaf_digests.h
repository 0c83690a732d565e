// SHA-256 of consecutive leaves, by Node's own OpenSSL. An all-zero leaf is not hashed: it answers a flag.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ferry {

constexpr std::size_t kDigestBytes = 32;

// At memory speed: each byte is compared with the one before it.
bool AllZero(const std::uint8_t* bytes, std::size_t length);

class LeafDigests {
 public:
  // `total` bytes in leaves of `leaf_bytes`; every leaf is zero until told otherwise.
  LeafDigests(std::int64_t total, std::int64_t leaf_bytes);

  // Leaves from number `first` on, out of memory; the last one may be short.
  void Add(std::size_t first, const std::uint8_t* bytes, std::size_t length);

  std::vector<std::uint8_t> digests;  // kDigestBytes per leaf; zeros for a zero leaf
  std::vector<std::uint8_t> zero;     // 1 per leaf that is all zero

 private:
  struct Free {
    void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };

  std::size_t leaf_bytes_;
  std::unique_ptr<EVP_MD, Free> algorithm_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace ferry
