#include "source_connection.h"

#include <endian.h>
#include <string.h>
#include <sys/uio.h>

#include <algorithm>

#include "file_leaves.h"
#include "system_call.h"
#include "transfer_failure.h"
#include "zero_scan.h"

namespace ferry {

namespace {

constexpr std::size_t kUnsettledSegments = 2;

struct Piece {
  std::size_t begin;
  std::size_t end;
};

// Zeros at both ends of a leaf are not sent: what a frame leaves out of its leaf is zero. The leaf holds something.
Piece WithoutZerosAround(const std::uint8_t* bytes, std::size_t size) {
  Piece piece{0, size};
  while (piece.begin + kBlockBytes <= size && AllZero(bytes + piece.begin, kBlockBytes)) piece.begin += kBlockBytes;
  while (piece.begin + kBlockBytes <= piece.end && AllZero(bytes + piece.end - kBlockBytes, kBlockBytes)) {
    piece.end -= kBlockBytes;
  }
  return piece;
}

}  // namespace

SourceConnection::SourceConnection(Connection& connection, Algorithm algorithm,
                                   std::vector<std::shared_ptr<TokenBucket>> limits, Compression compression)
    : connection_(connection),
      limits_(std::move(limits)),
      hasher_(algorithm),
      buffer_(MakeAlignedBuffer(kReadLeaves * kLeafBytes)),
      packing_(compression == Compression::kOff ? nullptr : std::make_unique<Packing>(compression)) {}

void SourceConnection::Run(SegmentQueue& queue) {
  queue_ = &queue;
  for (bool is_queue_empty = false;;) {
    while (unsettled_.size() < kUnsettledSegments && !(is_queue_empty && resends_.empty())) {
      if (const auto segment = NextSegment()) Send(*segment);
      else is_queue_empty = true;
    }
    if (unsettled_.empty()) return;
    Frame frame;
    if (!connection_.Receive(frame)) throw LostFailure("the peer closed the connection");
    TakeVerdict(frame);
  }
}

std::optional<Segment> SourceConnection::NextSegment() {
  if (resends_.empty()) return queue_->Next();
  Segment segment = std::move(resends_.front());
  resends_.pop_front();
  return segment;
}

void SourceConnection::Send(const Segment& segment) {
  unsettled_.push_back(segment);
  for (const Span& span : segment.spans) {
    if (span.is_hole) Tell(segment, FrameType::kZero, span);
    else SendData(segment, span);
  }
  FlushRun(segment);
  connection_.SendLength(FrameType::kSeal, segment.file->index, segment.range.first * kLeafBytes,
                         segment.range.count * kLeafBytes);
}

void SourceConnection::SendData(const Segment& segment, LeafRange range) {
  for (std::int64_t leaf = range.first; leaf < range.end(); leaf += kReadLeaves) {
    const LeafRange loaded{leaf, std::min(kReadLeaves, range.end() - leaf)};
    ReadLeaves(*segment.file, loaded);
    for (std::int64_t index = 0; index < loaded.count; index++) {
      connection_.ThrowIfStopped();
      SendLeaf(segment, leaf + index, BytesOf(index));
    }
    // A refusal of the target is noticed now, not when the segment is sealed.
    Frame frame;
    if (!connection_.ReceiveIfAny(frame)) throw LostFailure("the peer closed the connection");
    if (frame.header.type != FrameType::kPing) TakeVerdict(frame);
  }
}

void SourceConnection::SendLeaf(const Segment& segment, std::int64_t leaf, std::uint8_t* bytes) {
  SourceFile& file = *segment.file;
  const auto size = static_cast<std::size_t>(file.digests->LeafBytesAt(leaf));
  if (AllZero(bytes, size)) {
    file.skipped_bytes += static_cast<std::int64_t>(size);
    return Tell(segment, FrameType::kZero, {leaf, 1});
  }
  FrameHeader header;
  header.digest = hasher_.Of(bytes, size);
  file.digests->Set(leaf, header.digest);
  if (file.older && !segment.is_resend && file.older->DigestsOf({leaf, 1}).front() == header.digest) {
    file.skipped_bytes += static_cast<std::int64_t>(size);
    return Tell(segment, FrameType::kSame, {leaf, 1});
  }
  FlushRun(segment);
  const Piece piece = WithoutZerosAround(bytes, size);
  header.type = FrameType::kData;
  header.flags = segment.is_resend ? kFlagResend : 0;
  header.file = file.index;
  header.offset = leaf * kLeafBytes + static_cast<std::int64_t>(piece.begin);
  SendPiece(header, bytes + piece.begin, piece.end - piece.begin);
  file.sent_bytes += static_cast<std::int64_t>(size);
}

void SourceConnection::SendPiece(FrameHeader header, std::uint8_t* bytes, std::size_t length) {
  const std::size_t packed = packing_ ? Pack(bytes, length) : 0;
  TakeTokens(static_cast<std::int64_t>(packed > 0 ? packed : length));
  if (packed > 0) {
    header.length = static_cast<std::uint32_t>(length);
    connection_.Send(header, packing_->buffer.get(), packed);
  } else {
    connection_.Send(header, bytes, length);
  }
  if (packing_) NoteSent(length);
}

// 0 when the leaf goes as it is.
std::size_t SourceConnection::Pack(const std::uint8_t* bytes, std::size_t length) {
  if (!packing_->choice.ShouldCompress()) return 0;
  const std::size_t packed = packing_->compressor.Compress(bytes, length, packing_->buffer.get());
  if (packed == 0) packing_->choice.DidNotShrink();
  return packed;
}

void SourceConnection::NoteSent(std::size_t length) {
  const auto now = Clock::now();
  const auto waited = connection_.stream().socket().WaitedForRoom() + waited_for_tokens_;
  packing_->choice.Sent(length, now - packing_->last_leaf, waited - packing_->waited);
  packing_->last_leaf = now;
  packing_->waited = waited;
}

// Neighbouring runs of one kind are told in one frame.
void SourceConnection::Tell(const Segment& segment, FrameType type, LeafRange range) {
  if (type == FrameType::kZero) segment.file->digests->SetZero(range);
  if (run_ && run_->type == type && run_->range.end() == range.first) {
    run_->range.count += range.count;
    return;
  }
  FlushRun(segment);
  run_ = PendingRun{type, range};
}

void SourceConnection::FlushRun(const Segment& segment) {
  if (!run_) return;
  const std::uint8_t flags = segment.is_resend ? kFlagResend : 0;
  connection_.SendLength(run_->type, segment.file->index, run_->range.first * kLeafBytes,
                         run_->range.count * kLeafBytes, flags);
  run_.reset();
}

void SourceConnection::ReadLeaves(const SourceFile& file, LeafRange range) {
  const std::int64_t offset = range.first * kLeafBytes;
  iovec parts[kReadLeaves];
  std::int64_t wanted = 0;
  for (std::int64_t index = 0; index < range.count; index++) {
    const std::int64_t size = file.digests->LeafBytesAt(range.first + index);
    parts[index] = {BytesOf(index), static_cast<std::size_t>(size)};
    wanted += size;
  }
  try {
    const ssize_t got = CheckedCall(
        "read", Uninterrupted([&] { return preadv(file.fd, parts, static_cast<int>(range.count), offset); }));
    if (got == wanted) return;
    for (std::int64_t index = 0; index < range.count; index++) {
      ReadFully(file.fd, BytesOf(index), offset + index * kLeafBytes, static_cast<std::int64_t>(parts[index].iov_len));
    }
  } catch (const SystemFailure& failure) {
    throw DiskFailure(failure, file.index, offset, wanted);
  }
}

void SourceConnection::TakeTokens(std::int64_t bytes) {
  const auto begun = Clock::now();
  for (const auto& limit : limits_) {
    limit->Take(bytes, [this] { return connection_.is_stopping(); });
  }
  waited_for_tokens_ += Clock::now() - begun;
}

void SourceConnection::TakeVerdict(const Frame& frame) {
  const bool is_verdict = frame.header.type == FrameType::kVerified || frame.header.type == FrameType::kResend;
  if (!is_verdict) throw ProtocolFailure("something else than a verdict to a source");
  const auto found = std::find_if(unsettled_.begin(), unsettled_.end(), [&](const Segment& segment) {
    return segment.file->index == frame.header.file && segment.range.first * kLeafBytes == frame.header.offset;
  });
  if (found == unsettled_.end()) throw ProtocolFailure("verdict on a segment that was not sent");
  const Segment segment = std::move(*found);
  unsettled_.erase(found);
  if (frame.header.type == FrameType::kResend) return PlanResend(segment, frame);
  if (DecodeLength(frame.header, frame.payload) != segment.range.count * kLeafBytes) {
    throw ProtocolFailure("verdict on another segment");
  }
  queue_->verified++;
}

// The payload is a list of leaf numbers; each becomes a segment of its own.
void SourceConnection::PlanResend(const Segment& segment, const Frame& frame) {
  if (frame.header.length == 0 || frame.header.length % 4 != 0) throw ProtocolFailure("resend of no leaves");
  for (std::uint32_t at = 0; at < frame.header.length; at += 4) {
    std::uint32_t number;
    memcpy(&number, frame.payload + at, sizeof(number));
    const LeafRange leaf{le32toh(number), 1};
    const bool is_inside = leaf.first >= segment.range.first && leaf.end() <= segment.range.end();
    if (!is_inside) throw ProtocolFailure("resend of a leaf of another segment");
    resends_.push_back({segment.file, leaf, {{leaf, false}}, true});
  }
}

}  // namespace ferry
