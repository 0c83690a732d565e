// One connection as a stream of frames, the same on both sides.
//
// One thread receives, any may send; a frame is sent whole. An error frame of the peer becomes
// a PeerFailure. A tap sees every frame before it is encrypted or after it was decrypted, and may change its payload:
// that is for tests.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "frame.h"
#include "leaf_zstd.h"
#include "tls_stream.h"
#include "transfer_failure.h"

namespace ferry {

struct Frame {
  FrameHeader header;
  std::uint8_t* payload;  // until the next frame is received
};

using FrameTap = std::function<void(const FrameHeader& header, std::uint8_t* payload)>;

class Connection {
 public:
  // `on_end` is called when the connection is let go of.
  explicit Connection(TlsContext context, std::function<void()> on_end = nullptr);
  ~Connection();

  void Dial(const std::string& host, std::uint16_t port, std::chrono::milliseconds timeout);
  void Accept(int socket, std::chrono::milliseconds timeout);
  void SetTaps(FrameTap outgoing, FrameTap incoming);

  // What travels of the payload are `length` bytes; with `header.length` set they are compressed, and expand to that. A tap may
  // change them.
  void Send(FrameHeader header, std::uint8_t* payload = nullptr, std::size_t length = 0);
  void SendLength(FrameType type, std::uint16_t file, std::int64_t offset, std::int64_t bytes, std::uint8_t flags = 0);
  // Unless something is being sent anyway.
  void Ping();

  // Before the first: compressed frames were agreed on. Without this they are refused.
  void AllowCompression();
  // False when the peer has closed in good order.
  bool Receive(Frame& frame);
  // The payload of the frame that was received last becomes the caller's, in exchange for another buffer of its size.
  AlignedBuffer TakePayload(AlignedBuffer instead);
  // The same for any frame, also a ping, if one has begun to arrive; true when there was none.
  bool ReceiveIfAny(Frame& frame);

  // Tells the peer why, and ends; gone for good after `linger`, which lets the peer read the reason.
  void Refuse(const std::string& error, std::chrono::milliseconds linger);
  // Ends in good order.
  void Finish();
  // Whoever waits on the connection gives up, at once.
  void Sever() { stream_.socket().Sever(); }
  // The receiving thread gives up, for the first reason that it is told; sending goes on.
  void GiveUp(std::exception_ptr why);
  bool is_stopping() const { return stream_.socket().is_stopping(); }
  bool has_given_up() const { return has_given_up_; }
  // Throws that reason, if there is one.
  void ThrowWhy();
  // Between two frames: has somebody ended this?
  void ThrowIfStopped() const {
    if (is_stopping() || has_given_up()) throw StoppedFailure();
  }

  TlsStream& stream() { return stream_; }
  std::int64_t sent_bytes() const { return sent_bytes_; }
  std::int64_t received_bytes() const { return received_bytes_; }
  std::chrono::milliseconds SentAgo() const;

 private:
  void Write(FrameHeader header, std::uint8_t* payload, std::size_t length);
  bool ReadPayload(Frame& frame);
  bool ReadFrame(Frame& frame);
  bool ReadWhole(std::uint8_t* into, std::size_t length);

  TlsStream stream_;
  const std::function<void()> on_end_;
  FrameTap outgoing_tap_;
  FrameTap incoming_tap_;
  std::timed_mutex writing_;  // held for one whole frame
  std::mutex reading_;
  AlignedBuffer payload_;
  struct Expansion {
    LeafExpander expander;
    AlignedBuffer wire = MakeAlignedBuffer(kMaxPayloadBytes);
  };
  std::unique_ptr<Expansion> expansion_;
  std::mutex giving_up_;  // guards `why_`
  std::exception_ptr why_;
  std::atomic<bool> has_given_up_{false};
  std::atomic<std::int64_t> sent_bytes_{0};
  std::atomic<std::int64_t> received_bytes_{0};
  std::atomic<Clock::rep> sent_at_;
};

}  // namespace ferry
