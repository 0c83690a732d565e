#include "tls_handshake.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "openssl_use.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr char kBindingLabel[] = "EXPORTER-ferry-transfer";
constexpr std::size_t kBindingBytes = 32;

struct TrafficSecrets {
  Secret client;
  Secret server;
};

Secret Unhex(std::string_view text) {
  Secret bytes;
  for (; text.size() >= 2; text.remove_prefix(2)) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text.substr(0, 2)), nullptr, 16)));
  }
  return bytes;
}

// OpenSSL tells each secret in a line of the SSLKEYLOGFILE format: its label, the client's random bytes, the secret. This is
// its one public way to hand a TLS 1.3 traffic secret out; nothing is written anywhere.
void TakeSecret(const SSL* ssl, const char* line) {
  auto* secrets = static_cast<TrafficSecrets*>(SSL_get_app_data(ssl));
  const std::string_view text(line);
  const std::string_view label = text.substr(0, text.find(' '));
  const std::string_view value = text.substr(text.rfind(' ') + 1);
  if (label == "CLIENT_TRAFFIC_SECRET_0") secrets->client = Unhex(value);
  if (label == "SERVER_TRAFFIC_SECRET_0") secrets->server = Unhex(value);
}

// OpenSSL works on memory and never waits: what it wants to send is sent, and what it lacks is received, between its steps.
class Handshake {
 public:
  Handshake(const TlsContext& context, bool as_client, StoppableSocket& socket, ReceiveBuffer& input)
      : as_client_(as_client), socket_(socket), input_(input) {
    const OpenSslUse use;
    ssl_ = SSL_new(context.get());
    SSL_set_app_data(ssl_, &secrets_);
    BIO* bio = BIO_new(BioMethod());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    if (as_client) SSL_set_connect_state(ssl_);
    else SSL_set_accept_state(ssl_);
  }
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake() {
    const OpenSslUse use;
    SSL_free(ssl_);
  }

  void Run() {
    while (!Step()) {
      if (!input_.Fill(socket_)) throw LostFailure("closed during the TLS handshake");
    }
  }

  TlsSession Session() {
    const OpenSslUse use;
    const SSL_CIPHER* suite = SSL_get_current_cipher(ssl_);
    auto [sealing, opening] = std::pair(std::move(secrets_.client), std::move(secrets_.server));
    if (!as_client_) sealing.swap(opening);
    return {std::make_unique<RecordKey>(suite, std::move(sealing), RecordKey::Use::kSeal),
            std::make_unique<RecordKey>(suite, std::move(opening), RecordKey::Use::kOpen), PeerCertificate(),
            ChannelBinding()};
  }

 private:
  // True when it is over.
  bool Step() {
    int error = SSL_ERROR_NONE;
    std::string reason;
    bool is_identity = false;
    {
      const OpenSslUse use;
      ERR_clear_error();
      const int answer = SSL_do_handshake(ssl_);
      if (answer != 1) error = SSL_get_error(ssl_, answer);
      const int code = ERR_GET_REASON(ERR_peek_error());
      is_identity = code == SSL_R_CERTIFICATE_VERIFY_FAILED || code == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
      reason = TlsReason();
    }
    socket_.Send(output_.data(), output_.size());  // if it failed, the alert that says why
    output_.clear();
    if (error == SSL_ERROR_NONE) return true;
    if (error == SSL_ERROR_WANT_READ) return false;
    socket_.ThrowIfSevered();
    if (is_identity) throw IdentityFailure("TLS handshake: " + reason);
    throw LostFailure("TLS handshake: " + reason);
  }

  std::vector<std::uint8_t> PeerCertificate() {
    std::uint8_t* encoded = nullptr;
    const int length = i2d_X509(SSL_get0_peer_certificate(ssl_), &encoded);
    const std::vector<std::uint8_t> copy(encoded, encoded + std::max(0, length));
    OPENSSL_free(encoded);
    return copy;
  }

  std::vector<std::uint8_t> ChannelBinding() {
    std::vector<std::uint8_t> bytes(kBindingBytes);
    const std::uint8_t no_context = 0;
    if (SSL_export_keying_material(ssl_, bytes.data(), bytes.size(), kBindingLabel, sizeof(kBindingLabel) - 1,
                                   &no_context, 0, 1) != 1) {
      throw LostFailure("export keying material: " + TlsReason());
    }
    return bytes;
  }

  static const BIO_METHOD* BioMethod() {
    static const BIO_METHOD* method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ferry");
      BIO_meth_set_read(made, BioRead);
      BIO_meth_set_write(made, BioWrite);
      BIO_meth_set_ctrl(made, BioControl);
      return made;
    }();
    return method;
  }

  static int BioRead(BIO* bio, char* into, int length) {
    auto* self = static_cast<Handshake*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t count = std::min(static_cast<std::size_t>(length), self->input_.size());
    if (count == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    memcpy(into, self->input_.data(), count);
    self->input_.Drop(count);
    return static_cast<int>(count);
  }

  static int BioWrite(BIO* bio, const char* bytes, int length) {
    auto* self = static_cast<Handshake*>(BIO_get_data(bio));
    self->output_.insert(self->output_.end(), bytes, bytes + length);
    return length;
  }

  static long BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  const bool as_client_;
  StoppableSocket& socket_;
  ReceiveBuffer& input_;
  std::vector<std::uint8_t> output_;
  TrafficSecrets secrets_;
  SSL* ssl_;
};

}  // namespace

TlsSession ShakeHands(const TlsContext& context, bool as_client, StoppableSocket& socket, ReceiveBuffer& input) {
  Handshake handshake(context, as_client, socket, input);
  handshake.Run();
  return handshake.Session();
}

void HandOutSecrets(SSL_CTX* context) { SSL_CTX_set_keylog_callback(context, TakeSecret); }

}  // namespace ferry
