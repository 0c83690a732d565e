// One TLS connection over a socket of ours: blocking reads and writes that end at once when the stream is stopped.
//
// One thread may read while others write. OpenSSL is called under a lock and never waits: what it wants to send or
// receive passes through two buffers of ours, so that a whole leaf is one system call and not one per 16 KiB record.
//
//   open ─ Stop() → stopping: readers give up, writers finish ─ Sever() → severed: nothing moves any more
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "aligned_buffer.h"
#include "system_call.h"
#include "tls_context.h"

namespace ferry {

using Clock = std::chrono::steady_clock;

class TlsStream {
 public:
  explicit TlsStream(TlsContext context);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Once, before anything else: a socket that is connected or was accepted.
  void Handshake(int connected, bool as_client, Clock::time_point deadline);

  // At least one byte, or 0 when the peer has closed. One thread at a time.
  std::size_t Read(std::uint8_t* into, std::size_t length);
  bool HasInput();
  // How long writers have waited for room, altogether.
  std::chrono::nanoseconds WaitedForRoom() const { return std::chrono::nanoseconds(waited_for_room_ns_); }
  // All of it. One thread at a time.
  void Write(const std::uint8_t* bytes, std::size_t length);
  // Says that nothing more will be written.
  void Finish();
  // Throws away what still comes until the peer has closed or the deadline has come.
  void Discard(Clock::time_point deadline);

  void Stop();
  void Sever();
  // Makes the reader give up, now or next time; writers go on.
  void WakeReader();
  bool is_stopping() const { return state_ != State::kOpen; }
  bool is_severed() const { return state_ == State::kSevered; }

  std::vector<std::uint8_t> PeerCertificate();
  std::vector<std::uint8_t> ChannelBinding();
  // How long somebody has waited for the peer: a reader for bytes, or a writer for room while the peer said nothing
  // either; 0 while nobody does.
  std::chrono::milliseconds SilentFor() const;

 private:
  enum class State { kOpen, kStopping, kSevered };
  enum class Await { kRead, kWrite };

  static const BIO_METHOD* BioMethod();
  static int BioRead(BIO* bio, char* into, int length);
  static int BioWrite(BIO* bio, const char* bytes, int length);
  static long BioControl(BIO* bio, int command, long, void*);

  SSL* Usable() const;
  [[noreturn]] void ThrowTls(const char* attempt, int error);
  bool FillInput();
  void Flush();
  void SendAll(const std::uint8_t* bytes, std::size_t length);
  void Wait(Await what);
  void NoteLifeSigns();

  std::optional<Descriptor> socket_;
  const Descriptor wake_;
  std::atomic<State> state_{State::kOpen};
  std::atomic<bool> reader_woken_{false};
  std::optional<Clock::time_point> deadline_;  // of the handshake
  std::atomic<Clock::rep> waiting_since_{0};  // the reader
  std::atomic<std::int64_t> waited_for_room_ns_{0};
  std::atomic<Clock::rep> blocked_since_{0};  // the writer
  int unread_bytes_ = 0;                      // when the writer last looked

  std::mutex sending_;  // order of what OpenSSL gives us to send; taken before `tls_`
  std::mutex tls_;      // guards what follows
  TlsContext context_;
  SSL* ssl_ = nullptr;
  std::vector<std::uint8_t> output_;
  std::uint64_t key_bytes_ = 0;
  AlignedBuffer input_;  // filled by the reader only
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
};

}  // namespace ferry
