// One TLS 1.3 connection: OpenSSL shakes hands, then records are sealed and opened here, several for each system call.
//
// One thread may read while another writes. Whoever stops or severs the socket ends both.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "receive_buffer.h"
#include "stoppable_socket.h"
#include "tls_handshake.h"

namespace ferry {

struct ByteSpan {
  const std::uint8_t* bytes;
  std::size_t length;
};

class TlsStream {
 public:
  explicit TlsStream(TlsContext context);
  ~TlsStream() { socket_.Sever(); }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Once, before anything else: a socket that is connected or was accepted.
  void Handshake(int connected, bool as_client, Clock::time_point deadline);

  // At least one byte, or 0 when the peer has closed. One thread at a time.
  std::size_t Read(std::uint8_t* into, std::size_t length);
  bool HasInput() { return spare_begin_ < spare_end_ || input_.size() > 0 || socket_.HasInput(); }
  // All of it, each piece in records of its own, so that a reader who asks for the same pieces gets them without a copy. One
  // thread at a time.
  void Write(std::initializer_list<ByteSpan> pieces);
  // Says that nothing more will be written.
  void Finish();

  // To be stopped, severed, and asked how long it has waited.
  StoppableSocket& socket() { return socket_; }
  const StoppableSocket& socket() const { return socket_; }

  // What the handshake has shown.
  const TlsSession& session() const;

 private:
  void ThrowUnlessOpen() const;
  std::size_t OpenRecords(std::uint8_t* into, std::size_t length);
  std::size_t OpenRecord(std::size_t size, std::uint8_t* content);
  std::size_t TakeSpare(std::uint8_t* into, std::size_t length);
  void Obey(ContentType type, const std::uint8_t* message, std::size_t length);
  void ObeyHandshake(const std::uint8_t* message, std::size_t length);
  void Seal(ContentType type, const std::uint8_t* content, std::size_t length);
  void SendSealed();
  void RenewKeyIfDue();

  TlsContext context_;  // until hands are shaken
  StoppableSocket socket_;
  TlsSession session_;
  std::atomic<bool> has_session_{false};

  // Of the reader.
  ReceiveBuffer input_;
  AlignedBuffer spare_;  // the content of a record, where its reader has asked for less
  std::size_t spare_begin_ = 0;
  std::size_t spare_end_ = 0;
  bool has_peer_finished_ = false;

  // Of the writer.
  AlignedBuffer output_;
  std::size_t output_bytes_ = 0;
  std::uint64_t key_bytes_ = 0;
  std::atomic<bool> is_key_wanted_{false};  // by the peer, which the reader hears
};

}  // namespace ferry
