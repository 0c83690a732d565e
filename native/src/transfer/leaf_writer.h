// What one connection has received, on its way to the disk: leaves are gathered, and written a handful at a time by the
// thread that changes their file, while the next ones are received and decrypted.
//
// Two handfuls may be on their way: that is all the memory it takes, and whoever brings more waits. The first failure
// ends the connection, and what is still on its way then is not written any more.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "connection.h"
#include "part_file.h"

namespace ferry {

// Used by the thread that receives. Must be held by a shared_ptr.
class LeafWriter : public std::enable_shared_from_this<LeafWriter> {
 public:
  explicit LeafWriter(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  // The payload of the `data` frame that was received last.
  void Write(const std::shared_ptr<PartFile>& part, const FrameHeader& header);
  // Makes leaves read as zero.
  void Clear(const std::shared_ptr<PartFile>& part, std::uint16_t file, LeafRange leaves);
  // `job`, when all that came for this part so far has been written, or the connection has given up.
  void Afterwards(const std::shared_ptr<PartFile>& part, SerialJobs::Job job);
  // Returns when nothing is on its way.
  void Await() { AwaitChanges(0); }

 private:
  struct Leaf {
    FrameHeader header;
    AlignedBuffer bytes;
  };
  struct Handful {
    std::shared_ptr<PartFile> part;
    std::vector<Leaf> leaves;
  };

  AlignedBuffer SpareBuffer();
  void HandOver();
  void Change(const std::shared_ptr<PartFile>& part, std::function<void()> change);
  void AwaitChanges(std::size_t limit);
  void WriteAll(Handful& handful);

  const std::shared_ptr<Connection> connection_;
  std::shared_ptr<Handful> gathered_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::size_t changes_ = 0;
  std::vector<AlignedBuffer> spare_;
};

}  // namespace ferry
