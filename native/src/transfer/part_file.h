// A file that comes in, while it has its part name: written, flushed, read back, compared, journalled, in this order.
//
// A leaf counts as verified only after all of that. Several connections write to one part, each its own segments. What
// the part is called, and what becomes of it, is decided above. The journal is append-only:
//
//   kind u8 | first leaf u32 | leaf count u32 | body bytes u32 | body | crc32 u32
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "digest_tree.h"
#include "serial_jobs.h"

namespace ferry {

enum class ReadBack { kNone, kCache, kDirect };

// What a segment is to be: runs of leaves without a gap between them.
enum class Content : std::uint8_t { kZero, kData, kSame };
struct ContentRun {
  Content content;
  LeafRange range;
};
// The leaves that hold anything, in order, each with its digest.
struct DataLeaves {
  std::vector<std::int64_t> leaves;
  std::vector<Digest> digests;
  void Add(std::int64_t leaf, const Digest& digest) {
    leaves.push_back(leaf);
    digests.push_back(digest);
  }
};
struct SealedSegment {
  LeafRange range;
  std::vector<ContentRun> runs;
  DataLeaves expected;
};

class PartFile {
 public:
  struct Files {
    int fd;
    int journal_fd;
    std::int64_t journal_end;
  };

  // `older` has what the part held for an older source, or is empty: then what was never written is zero.
  PartFile(Files files, std::shared_ptr<DigestTree> verified, std::shared_ptr<DigestTree> older, ReadBack read_back);

  const DigestTree& verified() const { return *verified_; }
  const DigestTree* older() const { return older_.get(); }

  // The kernel lets one writer at a time into a file: what changes it goes through here, from every connection.
  const std::shared_ptr<SerialJobs> changes = std::make_shared<SerialJobs>();

  // Writes what is not zero of a piece of one leaf; `clear` first makes the whole leaf a hole.
  void Write(std::int64_t offset, const std::uint8_t* bytes, std::size_t length, bool clear);
  // Makes leaves read as zero.
  void Clear(LeafRange range);
  // Answers the leaves that are not what they should be; what is right is verified and durable.
  std::vector<std::int64_t> Verify(const SealedSegment& segment);
  // True the first time that a leaf is found wrong.
  bool MayResend(std::int64_t leaf);

  std::function<void(LeafRange)> before_read_back;  // tests change the disk here
  std::atomic<std::int64_t> received_bytes{0};
  std::atomic<std::int64_t> zero_bytes{0};
  std::atomic<std::int64_t> asked_again{0};

 private:
  DataLeaves ReadBackOf(const SealedSegment& segment);
  void Record(const SealedSegment& segment, const std::vector<std::int64_t>& wrong);
  void RecordRun(const SealedSegment& segment, const ContentRun& run);
  void RecordOlder(LeafRange range);
  void RecordData(LeafRange range, const Digest* digests);
  void RecordZero(LeafRange range);
  void Append(std::uint8_t kind, LeafRange range, const Digest* digests);

  const Files files_;
  const std::shared_ptr<DigestTree> verified_;
  const std::shared_ptr<DigestTree> older_;
  const ReadBack read_back_;

  std::mutex journal_;  // guards what follows
  std::int64_t journal_end_;
  std::set<std::int64_t> suspects_;
};

}  // namespace ferry
