#include "connection.h"

#include <string.h>

#include <utility>

#include "sockets.h"

namespace ferry {

namespace {

// A refusal waits this long for a frame that is being sent.
constexpr std::chrono::milliseconds kRefusePatience{500};

}  // namespace

Connection::Connection(TlsContext context, std::function<void()> on_end)
    : stream_(std::move(context)),
      on_end_(std::move(on_end)),
      payload_(MakeAlignedBuffer(kMaxPayloadBytes)),
      sent_at_(Clock::now().time_since_epoch().count()) {}

Connection::~Connection() {
  if (on_end_) on_end_();
}

void Connection::Dial(const std::string& host, std::uint16_t port, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  const int socket = ConnectTo(host, port, deadline, [this] { return is_stopping(); });
  SendSmallFramesAtOnce(socket);
  stream_.Handshake(socket, true, deadline);
}

void Connection::Accept(int socket, std::chrono::milliseconds timeout) {
  SendSmallFramesAtOnce(socket);
  stream_.Handshake(socket, false, Clock::now() + timeout);
}

void Connection::SetTaps(FrameTap outgoing, FrameTap incoming) {
  outgoing_tap_ = std::move(outgoing);
  incoming_tap_ = std::move(incoming);
}

void Connection::Send(FrameHeader header, std::uint8_t* payload, std::size_t length) {
  std::lock_guard<std::timed_mutex> whole(writing_);
  Write(header, payload, length);
}

void Connection::SendLength(FrameType type, std::uint16_t file, std::int64_t offset, std::int64_t bytes,
                            std::uint8_t flags) {
  FrameHeader header;
  header.type = type;
  header.file = file;
  header.offset = offset;
  header.flags = flags;
  std::uint8_t payload[8];
  EncodeLength(bytes, payload);
  Send(header, payload, sizeof(payload));
}

void Connection::Ping() {
  std::unique_lock<std::timed_mutex> whole(writing_, std::try_to_lock);
  if (whole.owns_lock()) Write(FrameHeader{}, nullptr, 0);
}

void Connection::AllowCompression() {
  if (!expansion_) expansion_ = std::make_unique<Expansion>();
}

bool Connection::Receive(Frame& frame) {
  std::lock_guard<std::mutex> one_reader(reading_);
  do {
    if (!ReadFrame(frame)) return false;
  } while (frame.header.type == FrameType::kPing);
  return true;
}

AlignedBuffer Connection::TakePayload(AlignedBuffer instead) {
  payload_.swap(instead);
  return instead;
}

bool Connection::ReceiveIfAny(Frame& frame) {
  std::lock_guard<std::mutex> one_reader(reading_);
  frame.header.type = FrameType::kPing;
  return !stream_.HasInput() || ReadFrame(frame);
}

void Connection::Refuse(const std::string& error, std::chrono::milliseconds linger) {
  const auto deadline = Clock::now() + linger;
  stream_.socket().Stop();
  try {
    std::unique_lock<std::timed_mutex> whole(writing_, kRefusePatience);
    if (whole.owns_lock() && !stream_.socket().is_severed()) {
      FrameHeader header;
      header.type = FrameType::kError;
      std::vector<std::uint8_t> payload(error.begin(), error.end());
      Write(header, payload.data(), payload.size());
      stream_.Finish();
      // What the peer still sends must be taken, or a reset would overtake the reason.
      std::lock_guard<std::mutex> one_reader(reading_);
      stream_.socket().Discard(deadline);
    }
  } catch (const Failure&) {
    // The peer is gone: there is nobody to tell.
  }
  Sever();
}

void Connection::Finish() {
  try {
    std::lock_guard<std::timed_mutex> whole(writing_);
    stream_.Finish();
  } catch (const Failure&) {
    Sever();
  }
}

void Connection::GiveUp(std::exception_ptr why) {
  {
    std::lock_guard<std::mutex> guard(giving_up_);
    if (!why_) why_ = std::move(why);
  }
  has_given_up_ = true;
  stream_.socket().WakeReader();
}

void Connection::ThrowWhy() {
  std::lock_guard<std::mutex> guard(giving_up_);
  if (why_) std::rethrow_exception(why_);
}

std::chrono::milliseconds Connection::SentAgo() const {
  const auto ago = Clock::now().time_since_epoch() - Clock::duration(sent_at_);
  return std::chrono::duration_cast<std::chrono::milliseconds>(ago);
}

void Connection::Write(FrameHeader header, std::uint8_t* payload, std::size_t length) {
  header.wire = static_cast<std::uint32_t>(length);
  if (outgoing_tap_) {
    FrameHeader travelling = header;
    travelling.length = header.wire;
    outgoing_tap_(travelling, payload);
  }
  if (header.length == 0) header.length = header.wire;
  std::uint8_t encoded[kHeaderBytes];
  EncodeHeader(header, encoded);
  stream_.Write({{encoded, kHeaderBytes}, {payload, length}});
  sent_bytes_ += static_cast<std::int64_t>(kHeaderBytes + length);
  sent_at_ = Clock::now().time_since_epoch().count();
}

bool Connection::ReadFrame(Frame& frame) {
  std::uint8_t header[kHeaderBytes];
  if (!ReadWhole(header, kHeaderBytes)) return false;
  frame.header = DecodeHeader(header);
  frame.payload = payload_.get();
  if (frame.header.wire > 0 && !ReadPayload(frame)) throw LostFailure("connection ended in the middle of a frame");
  if (incoming_tap_) incoming_tap_(frame.header, frame.payload);
  if (frame.header.type != FrameType::kError) return true;
  throw PeerFailure({frame.payload, frame.payload + frame.header.length});
}

bool Connection::ReadPayload(Frame& frame) {
  const auto [length, wire] = std::pair(frame.header.length, frame.header.wire);
  if (!frame.header.is_compressed()) return ReadWhole(frame.payload, length);
  if (!expansion_) throw ProtocolFailure("compressed frame, which was not agreed on");
  if (!ReadWhole(expansion_->wire.get(), wire)) return false;
  expansion_->expander.Expand(expansion_->wire.get(), wire, frame.payload, length);
  return true;
}

// False when the peer closed before the first byte.
bool Connection::ReadWhole(std::uint8_t* into, std::size_t length) {
  for (std::size_t got = 0; got < length;) {
    const std::size_t count = stream_.Read(into + got, length - got);
    if (count == 0 && got == 0) return false;
    if (count == 0) throw LostFailure("connection ended in the middle of a frame");
    got += count;
    received_bytes_ += static_cast<std::int64_t>(count);
  }
  return true;
}

}  // namespace ferry
