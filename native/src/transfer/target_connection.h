// The target's end of one connection: data to the part files, a verdict per segment. What it does not understand
// (an `open`, a `done`) is the caller's.
//
// A segment is a gapless run of leaves of one file, closed by its seal; at most two wait for their verdict. What was
// verified before is never taken again. Three threads share the work, and none waits for what another may do meanwhile:
//
//   receive, decrypt, check ── a few leaves ──▶ write (one thread for each part) ── at the seal ──▶ read back, verdict
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "connection.h"
#include "leaf_writer.h"
#include "part_file.h"

namespace ferry {

// The parts of one transfer, by their place in the hello; shared by its connections.
class PartTable {
 public:
  void Set(std::uint16_t file, std::shared_ptr<PartFile> part);
  void Delete(std::uint16_t file);
  // Throws a ProtocolFailure when that file is not open.
  std::shared_ptr<PartFile> Get(std::uint16_t file);

 private:
  std::mutex mutex_;
  std::map<std::uint16_t, std::shared_ptr<PartFile>> parts_;
};

class TargetConnection : public std::enable_shared_from_this<TargetConnection> {
 public:
  TargetConnection(std::shared_ptr<Connection> connection, std::shared_ptr<PartTable> parts);

  // Serves data until another frame comes; false when the peer has closed. When it throws, nothing is written any more.
  bool Receive(Frame& frame);

 private:
  struct OpenSegment {
    std::uint16_t file;
    std::shared_ptr<PartFile> part;
    SealedSegment sealed;
  };

  bool Serve(const Frame& frame);
  void Data(const Frame& frame);
  void Run(const Frame& frame, Content content);
  void Seal(const Frame& frame);
  OpenSegment& Continue(const Frame& frame, LeafRange leaves, Content content);

  void StartVerify(std::shared_ptr<OpenSegment> segment);
  void VerifyQuietly(const OpenSegment& segment);
  void Verify(const OpenSegment& segment);
  void AskAgain(const OpenSegment& segment, const std::vector<std::int64_t>& wrong);
  void AwaitVerifies(std::size_t limit);

  const std::shared_ptr<Connection> connection_;
  const std::shared_ptr<PartTable> parts_;
  const std::shared_ptr<LeafWriter> writer_;
  std::shared_ptr<OpenSegment> segment_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::size_t verifying_ = 0;
};

}  // namespace ferry
