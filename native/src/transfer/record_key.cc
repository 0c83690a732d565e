#include "record_key.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include <new>
#include <utility>

#include "openssl_use.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr std::size_t kTagBytes = 16;

// What cannot fail unless memory is out or this OpenSSL lacks what its own handshake has just used.
void Must(bool succeeded) {
  if (!succeeded) throw LostFailure("OpenSSL refuses a cipher that it has negotiated");
}

struct FreeKdf {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

// HKDF-Expand-Label without a context (§7.1).
Secret Expand(const EVP_MD* digest, Secret& secret, std::string label, std::size_t length) {
  std::string mode = "EXPAND_ONLY";
  std::string prefix = "tls13 ";
  std::string digest_name = EVP_MD_get0_name(digest);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_name.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix.data(), prefix.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, label.data(), label.size()),
      OSSL_PARAM_construct_end(),
  };
  const std::unique_ptr<EVP_KDF, FreeKdf> kdf(EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_TLS1_3_KDF, nullptr));
  const std::unique_ptr<EVP_KDF_CTX, FreeKdf> context(EVP_KDF_CTX_new(kdf.get()));
  Secret expanded(length);
  Must(context && EVP_KDF_derive(context.get(), expanded.data(), length, parameters) == 1);
  return expanded;
}

void Forget(Secret& secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

}  // namespace

void RecordKey::Free::operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }

RecordKey::RecordKey(const SSL_CIPHER* suite, Secret secret, Use use)
    : cipher_(EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite))),
      digest_(SSL_CIPHER_get_handshake_digest(suite)),
      use_(use),
      secret_(std::move(secret)),
      context_(EVP_CIPHER_CTX_new()) {
  if (!context_) throw std::bad_alloc();
  Must(cipher_ != nullptr && digest_ != nullptr);
  Derive();
}

RecordKey::~RecordKey() {
  const OpenSslUse use;
  Forget(secret_);
  OPENSSL_cleanse(base_, sizeof(base_));
  context_.reset();
}

std::size_t RecordKey::Seal(ContentType type, const std::uint8_t* content, std::size_t length, std::uint8_t* record) {
  const auto rest = static_cast<std::uint16_t>(length + 1 + kTagBytes);
  const std::uint8_t header[] = {static_cast<std::uint8_t>(ContentType::kData), 3, 3,
                                 static_cast<std::uint8_t>(rest >> 8), static_cast<std::uint8_t>(rest)};
  memcpy(record, header, sizeof(header));
  BeginRecord(header);
  EVP_CIPHER_CTX* context = context_.get();
  std::uint8_t* out = record + kRecordHeaderBytes;
  const auto inner_type = static_cast<std::uint8_t>(type);
  int count = 0;
  Must(length == 0 || EVP_EncryptUpdate(context, out, &count, content, static_cast<int>(length)) == 1);
  Must(EVP_EncryptUpdate(context, out + length, &count, &inner_type, 1) == 1);
  Must(EVP_EncryptFinal_ex(context, out + length + 1, &count) == 1);
  Must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + length + 1) == 1);
  return length + kRecordOverheadBytes;
}

RecordKey::Opened RecordKey::Open(const std::uint8_t* record, std::size_t size, std::uint8_t* content) {
  BeginRecord(record);
  EVP_CIPHER_CTX* context = context_.get();
  const std::uint8_t* sealed = record + kRecordHeaderBytes;
  std::size_t length = size - kRecordOverheadBytes;
  std::uint8_t tag[kTagBytes];
  memcpy(tag, sealed + length + 1, kTagBytes);
  // The content's type is the last byte that is not zero: behind it may be padding.
  std::uint8_t type = 0;
  int count = 0;
  Must(length == 0 || EVP_DecryptUpdate(context, content, &count, sealed, static_cast<int>(length)) == 1);
  Must(EVP_DecryptUpdate(context, &type, &count, sealed + length, 1) == 1);
  Must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag) == 1);
  std::uint8_t nothing;
  if (EVP_DecryptFinal_ex(context, &nothing, &count) != 1) throw LostFailure("receive: a record is not authentic");
  while (type == 0 && length > 0) type = content[--length];
  return {static_cast<ContentType>(type), length};
}

void RecordKey::Update() {
  Secret next = Expand(digest_, secret_, "traffic upd", secret_.size());
  secret_.swap(next);
  Forget(next);
  Derive();
}

void RecordKey::Derive() {
  Secret key = Expand(digest_, secret_, "key", static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher_)));
  Secret iv = Expand(digest_, secret_, "iv", sizeof(base_));
  memcpy(base_, iv.data(), sizeof(base_));
  sequence_ = 0;
  const int seals = use_ == Use::kSeal ? 1 : 0;
  Must(EVP_CipherInit_ex(context_.get(), cipher_, nullptr, key.data(), nullptr, seals) == 1);
  Forget(key);
  Forget(iv);
}

// Each record has a nonce of its own, and its header is authenticated with it.
void RecordKey::BeginRecord(const std::uint8_t* header) {
  Nonce nonce;
  memcpy(nonce, base_, sizeof(nonce));
  const std::uint64_t number = htobe64(sequence_++);
  std::uint64_t tail;
  std::uint8_t* low = nonce + sizeof(nonce) - sizeof(tail);
  memcpy(&tail, low, sizeof(tail));
  tail ^= number;
  memcpy(low, &tail, sizeof(tail));
  int count = 0;
  Must(EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce, -1) == 1);
  Must(EVP_CipherUpdate(context_.get(), nullptr, &count, header, kRecordHeaderBytes) == 1);
}

}  // namespace ferry
