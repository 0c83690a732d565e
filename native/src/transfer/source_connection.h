// The source's end of one connection: reads and digests leaves, sends segments, settles the target's verdict on each.
//
// At most two segments are without a verdict; a leaf that the target found wrong is read and sent once more. Four leaves
// are read at once: that, and TLS's buffers, is all the memory.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "compression.h"
#include "connection.h"
#include "leaf_zstd.h"
#include "segment_queue.h"
#include "token_bucket.h"

namespace ferry {

class SourceConnection {
 public:
  SourceConnection(Connection& connection, Algorithm algorithm, std::vector<std::shared_ptr<TokenBucket>> limits,
                   Compression compression);

  // Sends segments until the queue is empty and every verdict is in.
  void Run(SegmentQueue& queue);

 private:
  static constexpr std::int64_t kReadLeaves = 4;

  // Leaves in a row that one frame tells of.
  struct PendingRun {
    FrameType type;
    LeafRange range;
  };

  struct Packing {
    explicit Packing(Compression policy) : choice(policy) {}

    CompressionChoice choice;
    LeafCompressor compressor;
    AlignedBuffer buffer = MakeAlignedBuffer(kLeafBytes);
    Clock::time_point last_leaf = Clock::now();
    std::chrono::nanoseconds waited{0};
  };

  std::optional<Segment> NextSegment();
  void Send(const Segment& segment);
  void SendData(const Segment& segment, LeafRange range);
  void SendLeaf(const Segment& segment, std::int64_t leaf, std::uint8_t* bytes);
  void SendPiece(FrameHeader header, std::uint8_t* bytes, std::size_t length);
  std::size_t Pack(const std::uint8_t* bytes, std::size_t length);
  void NoteSent(std::size_t length);
  void Tell(const Segment& segment, FrameType type, LeafRange range);
  void FlushRun(const Segment& segment);
  void ReadLeaves(const SourceFile& file, LeafRange range);
  void TakeTokens(std::int64_t bytes);
  void TakeVerdict(const Frame& frame);
  void PlanResend(const Segment& segment, const Frame& frame);

  std::uint8_t* BytesOf(std::int64_t index) const { return buffer_.get() + index * kLeafBytes; }

  Connection& connection_;
  SegmentQueue* queue_ = nullptr;
  const std::vector<std::shared_ptr<TokenBucket>> limits_;
  Hasher hasher_;
  AlignedBuffer buffer_;
  const std::unique_ptr<Packing> packing_;  // none when nothing is ever compressed
  std::chrono::nanoseconds waited_for_tokens_{0};
  std::optional<PendingRun> run_;
  std::deque<Segment> unsettled_;  // sealed or being sent
  std::deque<Segment> resends_;
};

}  // namespace ferry
