#include "hash.h"

#include <openssl/evp.h>

#include <stdexcept>

#include "openssl_use.h"

#ifdef FERRY_BLAKE3
#include "blake3.h"
#endif

namespace ferry {

const char* NameOf(Algorithm algorithm) { return algorithm == Algorithm::kBlake3 ? "blake3" : "sha256"; }

const std::vector<Algorithm>& Algorithms() {
#ifdef FERRY_BLAKE3
  static const auto* all = new std::vector<Algorithm>{Algorithm::kBlake3, Algorithm::kSha256};
#else
  static const auto* all = new std::vector<Algorithm>{Algorithm::kSha256};
#endif
  return *all;
}

std::optional<Algorithm> AlgorithmOf(const std::string& name) {
  for (const Algorithm algorithm : Algorithms()) {
    if (name == NameOf(algorithm)) return algorithm;
  }
  return std::nullopt;
}

struct Hasher::State {
  virtual ~State() = default;
  virtual void Begin() = 0;
  virtual void Add(const void* bytes, std::size_t length) = 0;
  virtual Digest End() = 0;
};

namespace {

[[noreturn]] void ThrowHashFailed() { throw std::runtime_error("OpenSSL failed to compute a SHA-256"); }

void Check(int answer) {
  if (answer != 1) ThrowHashFailed();
}

const EVP_MD* FetchSha256() {
  static const EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // once: fetching takes locks
  return algorithm != nullptr ? algorithm : (ThrowHashFailed(), nullptr);
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const {
    const OpenSslUse use;
    EVP_MD_CTX_free(context);
  }
};

}  // namespace

struct Sha256State final : Hasher::State {
  void Begin() override {
    const OpenSslUse use;
    Check(EVP_DigestInit_ex2(context.get(), algorithm, nullptr));
  }
  void Add(const void* bytes, std::size_t length) override {
    const OpenSslUse use;
    Check(EVP_DigestUpdate(context.get(), bytes, length));
  }
  Digest End() override {
    const OpenSslUse use;
    Digest digest;
    Check(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr));
    return digest;
  }

  const EVP_MD* algorithm = FetchSha256();
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
};

#ifdef FERRY_BLAKE3
struct Blake3State final : Hasher::State {
  void Begin() override { blake3_hasher_init(&hasher); }
  void Add(const void* bytes, std::size_t length) override { blake3_hasher_update(&hasher, bytes, length); }
  Digest End() override {
    Digest digest;
    blake3_hasher_finalize(&hasher, digest.data(), digest.size());
    return digest;
  }

  blake3_hasher hasher;
};
#endif

Hasher::Hasher(Algorithm algorithm) {
#ifdef FERRY_BLAKE3
  if (algorithm == Algorithm::kBlake3) {
    state_ = std::make_unique<Blake3State>();
    return;
  }
#endif
  state_ = std::make_unique<Sha256State>();
}

Hasher::~Hasher() = default;
void Hasher::Begin() { state_->Begin(); }
void Hasher::Add(const void* bytes, std::size_t length) { state_->Add(bytes, length); }
Digest Hasher::End() { return state_->End(); }

}  // namespace ferry
