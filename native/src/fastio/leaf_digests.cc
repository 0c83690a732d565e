#include "leaf_digests.h"

#include <string.h>

#include <algorithm>
#include <stdexcept>

namespace ferry {

bool AllZero(const std::uint8_t* bytes, std::size_t length) {
  return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

LeafDigests::LeafDigests(std::int64_t total, std::int64_t leaf_bytes)
    : leaf_bytes_(static_cast<std::size_t>(leaf_bytes)),
      algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)),
      context_(EVP_MD_CTX_new()) {
  if (!algorithm_ || !context_) throw std::runtime_error("OpenSSL offers no SHA-256");
  const auto leaves = static_cast<std::size_t>((total + leaf_bytes - 1) / leaf_bytes);
  digests.resize(leaves * kDigestBytes);
  zero.assign(leaves, 1);
}

void LeafDigests::Add(std::size_t first, const std::uint8_t* bytes, std::size_t length) {
  std::size_t leaf = first;
  for (std::size_t start = 0; start < length; start += leaf_bytes_, leaf++) {
    const std::size_t size = std::min(leaf_bytes_, length - start);
    if (AllZero(bytes + start, size)) continue;
    zero[leaf] = 0;
    const bool done = EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr) == 1 &&
                      EVP_DigestUpdate(context_.get(), bytes + start, size) == 1 &&
                      EVP_DigestFinal_ex(context_.get(), &digests[leaf * kDigestBytes], nullptr) == 1;
    if (!done) throw std::runtime_error("OpenSSL failed to hash a leaf");
  }
}

}  // namespace ferry
