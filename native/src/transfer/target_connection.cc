#include "target_connection.h"

#include <endian.h>
#include <string.h>

#include "transfer_failure.h"
#include "worker_pool.h"

namespace ferry {

namespace {

constexpr std::size_t kVerifying = 2;
// No honest segment has more leaves with data in it.
constexpr std::size_t kSegmentDataLeaves = 1024;
constexpr std::size_t kResendLeaves = 4096;

LeafRange WholeLeaves(const Frame& frame) {
  const std::int64_t bytes = DecodeLength(frame.header, frame.payload);
  if (bytes == 0 || bytes % kLeafBytes != 0 || frame.header.offset % kLeafBytes != 0) {
    throw ProtocolFailure("a run that is not whole leaves");
  }
  return {frame.header.offset / kLeafBytes, bytes / kLeafBytes};
}

}  // namespace

void PartTable::Set(std::uint16_t file, std::shared_ptr<PartFile> part) {
  std::lock_guard<std::mutex> guard(mutex_);
  parts_[file] = std::move(part);
}

void PartTable::Delete(std::uint16_t file) {
  std::lock_guard<std::mutex> guard(mutex_);
  parts_.erase(file);
}

std::shared_ptr<PartFile> PartTable::Get(std::uint16_t file) {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = parts_.find(file);
  if (found == parts_.end()) throw ProtocolFailure("file " + std::to_string(file) + " is not open");
  return found->second;
}

TargetConnection::TargetConnection(std::shared_ptr<Connection> connection, std::shared_ptr<PartTable> parts)
    : connection_(std::move(connection)),
      parts_(std::move(parts)),
      writer_(std::make_shared<LeafWriter>(connection_)) {}

bool TargetConnection::Receive(Frame& frame) {
  try {
    for (;;) {
      connection_->ThrowIfStopped();
      if (!connection_->Receive(frame)) {
        writer_->Await();
        AwaitVerifies(0);
        return false;
      }
      if (Serve(frame)) continue;
      writer_->Await();
      return true;
    }
  } catch (...) {
    writer_->Await();
    AwaitVerifies(0);
    connection_->ThrowWhy();
    throw;
  }
}

bool TargetConnection::Serve(const Frame& frame) {
  switch (frame.header.type) {
    case FrameType::kData:
      return Data(frame), true;
    case FrameType::kZero:
      return Run(frame, Content::kZero), true;
    case FrameType::kSame:
      return Run(frame, Content::kSame), true;
    case FrameType::kSeal:
      return Seal(frame), true;
    default:
      return false;
  }
}

void TargetConnection::Data(const Frame& frame) {
  const FrameHeader& header = frame.header;
  const std::int64_t leaf = header.offset / kLeafBytes;
  OpenSegment& segment = Continue(frame, {leaf, 1}, Content::kData);
  PartFile& part = *segment.part;
  const std::int64_t leaf_bytes = part.verified().LeafBytesAt(leaf);
  const bool fits = header.length > 0 && header.offset + header.length <= leaf * kLeafBytes + leaf_bytes;
  if (!fits) throw ProtocolFailure("data frame across a leaf's border");
  if (header.digest == Digest{}) throw ProtocolFailure("data frame without a digest");
  if (segment.sealed.expected.leaves.size() >= kSegmentDataLeaves) throw ProtocolFailure("segment with too much data");
  segment.sealed.expected.Add(leaf, header.digest);
  writer_->Write(segment.part, header);
  part.received_bytes += leaf_bytes;
}

void TargetConnection::Run(const Frame& frame, Content content) {
  const LeafRange leaves = WholeLeaves(frame);
  OpenSegment& segment = Continue(frame, leaves, content);
  PartFile& part = *segment.part;
  if (content == Content::kSame) {
    const DigestTree* older = part.older();
    const auto known = older != nullptr ? older->KnownFrom(leaves.first, leaves.count) : 0;
    if (known < leaves.count) throw ProtocolFailure("what is the same was never there");
  } else if ((frame.header.flags & kFlagResend) != 0 || part.older() != nullptr) {
    writer_->Clear(segment.part, frame.header.file, leaves);
  }
  part.zero_bytes += leaves.count * kLeafBytes;
}

// The leaves follow those before them without a gap, within the file, and none was verified before.
TargetConnection::OpenSegment& TargetConnection::Continue(const Frame& frame, LeafRange leaves, Content content) {
  const std::uint16_t file = frame.header.file;
  if (!segment_) {
    segment_ = std::make_shared<OpenSegment>(OpenSegment{file, parts_->Get(file), {{leaves.first, 0}, {}, {}}});
  }
  SealedSegment& sealed = segment_->sealed;
  if (segment_->file != file || sealed.range.end() != leaves.first) throw ProtocolFailure("segment with a gap");
  const DigestTree& verified = segment_->part->verified();
  if (leaves.end() > verified.leaf_count()) throw ProtocolFailure("leaves beyond the end of the file");
  const LeafRun before = verified.RunFrom(leaves.first, leaves.count);
  if (before.state != LeafState::kUnknown || before.count < leaves.count) {
    throw ProtocolFailure("leaves that were verified before");
  }
  sealed.range.count += leaves.count;
  if (!sealed.runs.empty() && sealed.runs.back().content == content) sealed.runs.back().range.count += leaves.count;
  else sealed.runs.push_back({content, leaves});
  return *segment_;
}

void TargetConnection::Seal(const Frame& frame) {
  const LeafRange leaves = WholeLeaves(frame);
  const auto segment = std::move(segment_);
  segment_ = nullptr;
  const bool is_same = segment && segment->file == frame.header.file && segment->sealed.range.first == leaves.first &&
                       segment->sealed.range.count == leaves.count;
  if (!is_same) throw ProtocolFailure("seal of another segment");
  AwaitVerifies(kVerifying - 1);
  {
    std::lock_guard<std::mutex> guard(mutex_);
    verifying_++;
  }
  writer_->Afterwards(segment->part, [self = shared_from_this(), segment] { self->StartVerify(segment); });
}

void TargetConnection::StartVerify(std::shared_ptr<OpenSegment> segment) {
  WorkerPool::Get().Post(Lane::kSlow, [self = shared_from_this(), segment = std::move(segment)] {
    self->VerifyQuietly(*segment);
    std::lock_guard<std::mutex> guard(self->mutex_);
    self->verifying_--;
    self->changed_.notify_all();
  });
}

void TargetConnection::VerifyQuietly(const OpenSegment& segment) {
  try {
    if (!connection_->has_given_up()) Verify(segment);
  } catch (...) {
    // The source may be waiting for this verdict and send nothing more.
    connection_->GiveUp(std::current_exception());
  }
}

void TargetConnection::Verify(const OpenSegment& segment) {
  const std::int64_t offset = segment.sealed.range.first * kLeafBytes;
  const std::int64_t length = segment.sealed.range.count * kLeafBytes;
  const auto wrong = AtDisk(segment.file, offset, length, [&] { return segment.part->Verify(segment.sealed); });
  if (!wrong.empty()) return AskAgain(segment, wrong);
  connection_->SendLength(FrameType::kVerified, segment.file, offset, length);
}

void TargetConnection::AskAgain(const OpenSegment& segment, const std::vector<std::int64_t>& wrong) {
  std::vector<std::uint32_t> numbers;
  for (const std::int64_t leaf : wrong) {
    const bool may = wrong.size() <= kResendLeaves && segment.part->MayResend(leaf);
    if (!may) throw CorruptFailure(segment.file, leaf * kLeafBytes, wrong.size());
    numbers.push_back(htole32(static_cast<std::uint32_t>(leaf)));
  }
  FrameHeader header;
  header.type = FrameType::kResend;
  header.file = segment.file;
  header.offset = segment.sealed.range.first * kLeafBytes;
  connection_->Send(header, reinterpret_cast<std::uint8_t*>(numbers.data()), numbers.size() * 4);
}

void TargetConnection::AwaitVerifies(std::size_t limit) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return verifying_ <= limit; });
}

}  // namespace ferry
