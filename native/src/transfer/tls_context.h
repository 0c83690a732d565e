// TLS as the data plane wants it: 1.3 only, AES-128-GCM first, certificates on both sides, no session tickets (a ticket
// would let a peer come back without showing its certificate again). On the OpenSSL inside Node.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace ferry {

// PEM texts.
struct TlsMaterial {
  std::string authority;
  std::string certificate;
  std::string key;
};

struct FreeTlsContext {
  void operator()(SSL_CTX* context) const;
};
using TlsContext = std::shared_ptr<SSL_CTX>;

// Throws an IdentityFailure when the material is not usable.
TlsContext MakeTlsContext(const TlsMaterial& material);

// OpenSSL's own words for the last failure of this thread; takes them off its queue.
std::string TlsReason();

}  // namespace ferry
