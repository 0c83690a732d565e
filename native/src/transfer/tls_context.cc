#include "tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "openssl_use.h"
#include "tls_handshake.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

Bio BioOver(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

Certificate NextCertificate(const Bio& bio) { return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)); }

void Check(bool succeeded, const char* attempt) {
  if (!succeeded) throw IdentityFailure(std::string(attempt) + ": " + TlsReason());
}

void TrustAuthority(SSL_CTX* context, const std::string& pem) {
  const Bio bio = BioOver(pem);
  bool any = false;
  while (const Certificate certificate = NextCertificate(bio)) {
    Check(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) == 1, "trust the authority");
    any = true;
  }
  Check(any, "read the authority's certificate");
  ERR_clear_error();  // the end of the text is reported like an error
}

void UseCertificate(SSL_CTX* context, const std::string& pem) {
  const Bio bio = BioOver(pem);
  const Certificate own = NextCertificate(bio);
  Check(own && SSL_CTX_use_certificate(context, own.get()) == 1, "use the certificate");
  while (Certificate link = NextCertificate(bio)) {
    Check(SSL_CTX_add0_chain_cert(context, link.get()) == 1, "use the certificate's chain");
    link.release();
  }
  ERR_clear_error();
}

void UseKey(SSL_CTX* context, const std::string& pem) {
  const Bio bio = BioOver(pem);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  Check(key && SSL_CTX_use_PrivateKey(context, key.get()) == 1, "use the private key");
}

}  // namespace

void FreeTlsContext::operator()(SSL_CTX* context) const {
  const OpenSslUse use;
  SSL_CTX_free(context);
}

TlsContext MakeTlsContext(const TlsMaterial& material) {
  const OpenSslUse use;
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_method()), FreeTlsContext{});
  SSL_CTX* raw = context.get();
  Check(raw != nullptr && SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1, "set up TLS 1.3");
  Check(SSL_CTX_set_ciphersuites(raw, kCipherSuites) == 1, "choose ciphers");
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  HandOutSecrets(raw);
  TrustAuthority(raw, material.authority);
  UseCertificate(raw, material.certificate);
  UseKey(raw, material.key);
  return context;
}

std::string TlsReason() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "unknown reason";
}

}  // namespace ferry
