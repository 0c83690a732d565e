#include "tls_stream.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "openssl_use.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr std::size_t kInputBytes = 256 << 10;
// A leaf with its header and what TLS adds to it.
constexpr std::size_t kOutputBytes = 288 << 10;
// AES-GCM wants a new key long before 2^24.5 records; this is 2^22 of them.
constexpr std::uint64_t kKeyBytes = std::uint64_t{1} << 36;
constexpr int kStoppedPollMs = 50;
constexpr int kLifeSignPollMs = 50;
constexpr char kBindingLabel[] = "EXPORTER-ferry-transfer";
constexpr std::size_t kBindingBytes = 32;

}  // namespace

TlsStream::TlsStream(TlsContext context)
    : wake_(CheckedCall("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      context_(std::move(context)),
      input_(MakeAlignedBuffer(kInputBytes)) {
  output_.reserve(kOutputBytes);
}

TlsStream::~TlsStream() { Sever(); }

void TlsStream::Handshake(int connected, bool as_client, Clock::time_point deadline) {
  {
    std::lock_guard<std::mutex> guard(tls_);
    socket_.emplace(connected);
    if (!context_) throw StoppedFailure();
    const OpenSslUse use;
    ssl_ = SSL_new(context_.get());
    BIO* bio = BIO_new(BioMethod());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    if (as_client) SSL_set_connect_state(ssl_);
    else SSL_set_accept_state(ssl_);
  }
  deadline_ = deadline;
  for (;;) {
    int error = SSL_ERROR_NONE;
    {
      std::lock_guard<std::mutex> guard(tls_);
      const OpenSslUse use;
      ERR_clear_error();
      const int answer = SSL_do_handshake(Usable());
      if (answer != 1) error = SSL_get_error(ssl_, answer);
    }
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
      Flush();  // the alert that says why
      ThrowTls("TLS handshake", error);
    }
    Flush();
    if (error == SSL_ERROR_NONE) break;
    if (!FillInput()) throw LostFailure("closed during the TLS handshake");
  }
  deadline_.reset();
}

std::size_t TlsStream::Read(std::uint8_t* into, std::size_t length) {
  for (;;) {
    int error;
    bool has_output;
    {
      std::lock_guard<std::mutex> guard(tls_);
      const OpenSslUse use;
      ERR_clear_error();
      // Record after record, as long as they are there.
      std::size_t got = 0;
      std::size_t count = 0;
      while (got < length && SSL_read_ex(Usable(), into + got, length - got, &count) == 1) got += count;
      if (got > 0) return got;
      error = SSL_get_error(ssl_, 0);
      has_output = !output_.empty();
    }
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    if (error != SSL_ERROR_WANT_READ) ThrowTls("receive", error);
    if (has_output) Flush();
    if (!FillInput()) return 0;
  }
}

bool TlsStream::HasInput() {
  if (input_begin_ < input_end_) return true;
  std::uint8_t byte;
  return recv(socket_->get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void TlsStream::Write(const std::uint8_t* bytes, std::size_t length) {
  {
    std::lock_guard<std::mutex> guard(tls_);
    const OpenSslUse use;
    ERR_clear_error();
    key_bytes_ += length;
    if (key_bytes_ > kKeyBytes) {
      SSL_key_update(Usable(), SSL_KEY_UPDATE_NOT_REQUESTED);
      key_bytes_ = 0;
    }
    std::size_t count = 0;
    if (SSL_write_ex(Usable(), bytes, length, &count) != 1) ThrowTls("send", SSL_get_error(ssl_, 0));
  }
  Flush();
}

void TlsStream::Finish() {
  {
    std::lock_guard<std::mutex> guard(tls_);
    const OpenSslUse use;
    SSL_shutdown(Usable());
  }
  Flush();
  shutdown(socket_->get(), SHUT_WR);
}

void TlsStream::Discard(Clock::time_point deadline) {
  std::uint8_t waste[16 << 10];
  while (!is_severed() && Clock::now() < deadline) {
    pollfd waiting{socket_->get(), POLLIN, 0};
    if (poll(&waiting, 1, kStoppedPollMs) <= 0) continue;
    if (recv(socket_->get(), waste, sizeof(waste), MSG_DONTWAIT) == 0) return;
    if (errno != EAGAIN && errno != EINTR && (waiting.revents & POLLIN) == 0) return;
  }
}

void TlsStream::Stop() {
  State open = State::kOpen;
  state_.compare_exchange_strong(open, State::kStopping);
  eventfd_write(wake_.get(), 1);
}

void TlsStream::WakeReader() {
  reader_woken_ = true;
  eventfd_write(wake_.get(), 1);
}

void TlsStream::Sever() {
  state_ = State::kSevered;
  eventfd_write(wake_.get(), 1);
  std::lock_guard<std::mutex> guard(tls_);
  if (socket_) shutdown(socket_->get(), SHUT_RDWR);
  if (ssl_ != nullptr) {
    const OpenSslUse use;
    SSL_free(ssl_);
    ssl_ = nullptr;
  }
  context_.reset();
}

std::vector<std::uint8_t> TlsStream::PeerCertificate() {
  std::lock_guard<std::mutex> guard(tls_);
  const OpenSslUse use;
  X509* certificate = SSL_get0_peer_certificate(Usable());
  std::uint8_t* encoded = nullptr;
  const int length = certificate != nullptr ? i2d_X509(certificate, &encoded) : 0;
  const std::vector<std::uint8_t> copy(encoded, encoded + std::max(0, length));
  OPENSSL_free(encoded);
  return copy;
}

std::vector<std::uint8_t> TlsStream::ChannelBinding() {
  std::lock_guard<std::mutex> guard(tls_);
  const OpenSslUse use;
  std::vector<std::uint8_t> bytes(kBindingBytes);
  const std::uint8_t no_context = 0;
  if (SSL_export_keying_material(Usable(), bytes.data(), bytes.size(), kBindingLabel, sizeof(kBindingLabel) - 1,
                                 &no_context, 0, 1) != 1) {
    ThrowTls("export keying material", SSL_ERROR_SSL);
  }
  return bytes;
}

std::chrono::milliseconds TlsStream::SilentFor() const {
  Clock::duration longest{0};
  for (const Clock::rep since : {waiting_since_.load(), blocked_since_.load()}) {
    if (since != 0) longest = std::max(longest, Clock::now().time_since_epoch() - Clock::duration(since));
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(longest);
}

const BIO_METHOD* TlsStream::BioMethod() {
  static const BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ferry");
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_ctrl(made, BioControl);
    return made;
  }();
  return method;
}

int TlsStream::BioRead(BIO* bio, char* into, int length) {
  auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t count = std::min(static_cast<std::size_t>(length), self->input_end_ - self->input_begin_);
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  memcpy(into, self->input_.get() + self->input_begin_, count);
  self->input_begin_ += count;
  return static_cast<int>(count);
}

int TlsStream::BioWrite(BIO* bio, const char* bytes, int length) {
  auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
  // Of the vector's own type, or each byte would be converted by itself.
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes);
  self->output_.insert(self->output_.end(), begin, begin + length);
  return length;
}

long TlsStream::BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

SSL* TlsStream::Usable() const {
  if (ssl_ == nullptr) throw StoppedFailure();
  return ssl_;
}

void TlsStream::ThrowTls(const char* attempt, int error) {
  if (is_severed()) throw StoppedFailure();
  const unsigned long code = ERR_peek_error();
  const std::string message = std::string(attempt) + ": " + TlsReason();
  const bool is_ours = ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED ||
                       ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
  if (is_ours) throw IdentityFailure(message);
  throw LostFailure(message);
}

// False when the peer has closed.
bool TlsStream::FillInput() {
  for (;;) {
    const ssize_t count = Uninterrupted([&] { return recv(socket_->get(), input_.get(), kInputBytes, MSG_DONTWAIT); });
    if (count >= 0) {
      input_begin_ = 0;
      input_end_ = static_cast<std::size_t>(count);
      return count > 0;
    }
    if (errno != EAGAIN) throw LostFailure(std::string("receive: ") + strerrordesc_np(errno));
    waiting_since_ = Clock::now().time_since_epoch().count();
    try {
      Wait(Await::kRead);
    } catch (...) {
      waiting_since_ = 0;
      throw;
    }
    waiting_since_ = 0;
  }
}

void TlsStream::Flush() {
  std::lock_guard<std::mutex> order(sending_);
  std::vector<std::uint8_t> bytes;
  {
    std::lock_guard<std::mutex> guard(tls_);
    if (output_.empty()) return;
    bytes.swap(output_);
  }
  SendAll(bytes.data(), bytes.size());
  bytes.clear();
  std::lock_guard<std::mutex> guard(tls_);
  if (output_.empty()) output_.swap(bytes);  // keeps its memory
}

void TlsStream::SendAll(const std::uint8_t* bytes, std::size_t length) {
  while (length > 0) {
    const ssize_t count =
        Uninterrupted([&] { return send(socket_->get(), bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL); });
    if (count >= 0) {
      blocked_since_ = 0;
      bytes += count;
      length -= static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      const auto begun = Clock::now();
      blocked_since_ = begun.time_since_epoch().count();
      Wait(Await::kWrite);
      waited_for_room_ns_ += std::chrono::nanoseconds(Clock::now() - begun).count();
    } else {
      throw LostFailure(std::string("send: ") + strerrordesc_np(errno));
    }
  }
}

void TlsStream::Wait(Await what) {
  const bool reads = what == Await::kRead;
  const auto events = static_cast<short>(reads ? POLLIN : POLLOUT);
  for (;;) {
    if (is_severed() || (reads && (is_stopping() || reader_woken_))) throw StoppedFailure();
    int timeout_ms = -1;
    if (deadline_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - Clock::now());
      if (left.count() <= 0) throw TimeoutFailure("no answer");
      timeout_ms = static_cast<int>(left.count()) + 1;
    }
    pollfd waiting[] = {{socket_->get(), events, 0}, {wake_.get(), POLLIN, 0}};
    // Once woken the event stays: a writer that is to finish only looks at the socket.
    const bool finishing = !reads && (is_stopping() || reader_woken_);
    if (!reads && !finishing && timeout_ms < 0) timeout_ms = kLifeSignPollMs;
    const int ready = poll(waiting, finishing ? 1 : 2, finishing ? kStoppedPollMs : timeout_ms);
    if (ready > 0 && waiting[0].revents != 0) return;
    if (!reads) NoteLifeSigns();
  }
}

// A peer that takes nothing but sends its pings is slow, not gone. Nobody reads them while the source is blocked: it is
// their piling up that tells.
void TlsStream::NoteLifeSigns() {
  int unread_bytes = 0;
  if (ioctl(socket_->get(), FIONREAD, &unread_bytes) != 0 || unread_bytes == unread_bytes_) return;
  unread_bytes_ = unread_bytes;
  blocked_since_ = Clock::now().time_since_epoch().count();
}

}  // namespace ferry
