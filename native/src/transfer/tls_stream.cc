#include "tls_stream.h"

#include <openssl/err.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <utility>

#include "openssl_use.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr std::size_t kInputBytes = 256 << 10;
// A leaf in its records.
constexpr std::size_t kOutputBytes = 264 << 10;
// AES-GCM wants a new key long before 2^24.5 records; this is 2^22 of them.
constexpr std::uint64_t kKeyBytes = std::uint64_t{1} << 36;

constexpr std::uint8_t kWarning = 1;
constexpr std::uint8_t kCloseNotify = 0;
constexpr std::uint8_t kNewSessionTicket = 4;
constexpr std::uint8_t kKeyUpdate = 24;
constexpr std::size_t kHandshakeHeaderBytes = 4;

// OpenSSL's words for what a peer's alert says.
std::string AlertReason(std::uint8_t description) {
  const char* reason = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + description));
  return reason != nullptr ? reason : "alert " + std::to_string(description);
}

// The size of the record that begins there; 0 when it is not here whole.
std::size_t WholeRecord(const ReceiveBuffer& input) {
  if (input.size() < kRecordHeaderBytes) return 0;
  const std::uint8_t* header = input.data();
  const std::size_t size = kRecordHeaderBytes + (std::size_t{header[3]} << 8 | header[4]);
  const bool is_sealed = header[0] == static_cast<std::uint8_t>(ContentType::kData) && header[1] == 3;
  const bool fits = size >= kRecordOverheadBytes && size <= kLongestRecordBytes;
  if (!is_sealed || !fits) throw LostFailure("receive: not a record of this connection");
  return size <= input.size() ? size : 0;
}

}  // namespace

TlsStream::TlsStream(TlsContext context)
    : context_(std::move(context)),
      input_(kInputBytes),
      spare_(MakeAlignedBuffer(kLongestRecordBytes)),
      output_(MakeAlignedBuffer(kOutputBytes)) {}

void TlsStream::Handshake(int connected, bool as_client, Clock::time_point deadline) {
  socket_.Open(connected);
  socket_.SetDeadline(deadline);
  session_ = ShakeHands(context_, as_client, socket_, input_);
  socket_.SetDeadline(std::nullopt);
  context_.reset();
  has_session_ = true;
}

const TlsSession& TlsStream::session() const {
  ThrowUnlessOpen();
  return session_;
}

std::size_t TlsStream::Read(std::uint8_t* into, std::size_t length) {
  for (;;) {
    ThrowUnlessOpen();
    if (const std::size_t got = OpenRecords(into, length)) return got;
    if (has_peer_finished_) return 0;
    if (!input_.Fill(socket_)) {
      if (input_.size() > 0) throw LostFailure("receive: closed in the middle of a record");
      return 0;
    }
  }
}

void TlsStream::Write(std::initializer_list<ByteSpan> pieces) {
  ThrowUnlessOpen();
  RenewKeyIfDue();
  for (const auto& [bytes, length] : pieces) Seal(ContentType::kData, bytes, length);
  SendSealed();
}

void TlsStream::Finish() {
  ThrowUnlessOpen();
  const std::uint8_t goodbye[] = {kWarning, kCloseNotify};
  Seal(ContentType::kAlert, goodbye, sizeof(goodbye));
  SendSealed();
  socket_.FinishSending();
}

void TlsStream::ThrowUnlessOpen() const {
  if (!has_session_) throw StoppedFailure();
  socket_.ThrowIfSevered();
}

// From the records that are here whole, as much as there is room for.
std::size_t TlsStream::OpenRecords(std::uint8_t* into, std::size_t length) {
  const OpenSslUse use;
  std::size_t got = TakeSpare(into, length);
  while (got < length && !has_peer_finished_) {
    const std::size_t size = WholeRecord(input_);
    if (size == 0) break;
    if (size - kRecordOverheadBytes <= length - got) {
      got += OpenRecord(size, into + got);
    } else {
      spare_begin_ = 0;
      spare_end_ = OpenRecord(size, spare_.get());
      got += TakeSpare(into + got, length - got);
    }
  }
  return got;
}

// How much of its content is data.
std::size_t TlsStream::OpenRecord(std::size_t size, std::uint8_t* content) {
  const auto [type, length] = session_.opening->Open(input_.data(), size, content);
  input_.Drop(size);
  if (type == ContentType::kData) return length;
  Obey(type, content, length);
  return 0;
}

std::size_t TlsStream::TakeSpare(std::uint8_t* into, std::size_t length) {
  const std::size_t count = std::min(length, spare_end_ - spare_begin_);
  memcpy(into, spare_.get() + spare_begin_, count);
  spare_begin_ += count;
  return count;
}

void TlsStream::Obey(ContentType type, const std::uint8_t* message, std::size_t length) {
  if (type == ContentType::kHandshake) return ObeyHandshake(message, length);
  if (type != ContentType::kAlert || length != 2) throw LostFailure("receive: a record of no known content");
  if (message[1] != kCloseNotify) throw LostFailure("receive: " + AlertReason(message[1]));
  has_peer_finished_ = true;
}

// Our own side sends nothing but key updates; whole messages in one record are what every TLS library sends.
void TlsStream::ObeyHandshake(const std::uint8_t* message, std::size_t length) {
  while (length >= kHandshakeHeaderBytes) {
    const std::size_t size = kHandshakeHeaderBytes + (message[1] << 16 | message[2] << 8 | message[3]);
    if (size > length) break;
    if (message[0] == kKeyUpdate && size == kHandshakeHeaderBytes + 1) {
      // Nothing of the old key may follow in its record.
      if (size != length) break;
      session_.opening->Update();
      if (message[kHandshakeHeaderBytes] == 1) is_key_wanted_ = true;
    } else if (message[0] != kNewSessionTicket) {
      break;
    }
    message += size;
    length -= size;
  }
  if (length != 0) throw LostFailure("receive: a handshake message that has no place here");
}

void TlsStream::Seal(ContentType type, const std::uint8_t* content, std::size_t length) {
  while (length > 0) {
    const std::size_t part = std::min(length, kRecordContentBytes);
    if (output_bytes_ + part + kRecordOverheadBytes > kOutputBytes) SendSealed();
    {
      const OpenSslUse use;
      output_bytes_ += session_.sealing->Seal(type, content, part, output_.get() + output_bytes_);
    }
    key_bytes_ += part;
    content += part;
    length -= part;
  }
}

void TlsStream::SendSealed() {
  const std::size_t length = std::exchange(output_bytes_, 0);
  socket_.Send(output_.get(), length);
}

void TlsStream::RenewKeyIfDue() {
  if (key_bytes_ < kKeyBytes && !is_key_wanted_.exchange(false)) return;
  const std::uint8_t update[] = {kKeyUpdate, 0, 0, 1, 0};
  Seal(ContentType::kHandshake, update, sizeof(update));
  const OpenSslUse use;
  session_.sealing->Update();
  key_bytes_ = 0;
}

}  // namespace ferry
