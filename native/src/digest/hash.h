// The two digests that a tree may be made of. BLAKE3 is there if its sources were at build time, SHA-256 always is
// (Node's own OpenSSL). Both give 32 bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

constexpr std::size_t kDigestBytes = 32;
using Digest = std::array<std::uint8_t, kDigestBytes>;

enum class Algorithm { kBlake3, kSha256 };

// By name in receipts and on the wire: "blake3", "sha256".
const char* NameOf(Algorithm algorithm);
// Nothing for a name that this build cannot compute.
std::optional<Algorithm> AlgorithmOf(const std::string& name);
// Fastest first.
const std::vector<Algorithm>& Algorithms();

// One digest after the other; not for two threads at once.
class Hasher {
 public:
  explicit Hasher(Algorithm algorithm);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Begin();
  void Add(const void* bytes, std::size_t length);
  Digest End();

  Digest Of(const void* bytes, std::size_t length) {
    Begin();
    Add(bytes, length);
    return End();
  }

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace ferry
