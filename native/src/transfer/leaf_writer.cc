#include "leaf_writer.h"

#include <utility>

#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr std::size_t kHandfulLeaves = 2;
constexpr std::size_t kChanges = 2;

}  // namespace

void LeafWriter::Write(const std::shared_ptr<PartFile>& part, const FrameHeader& header) {
  if (gathered_ && gathered_->part != part) HandOver();
  if (!gathered_) gathered_ = std::make_shared<Handful>(Handful{part, {}});
  gathered_->leaves.push_back({header, connection_->TakePayload(SpareBuffer())});
  if (gathered_->leaves.size() == kHandfulLeaves) HandOver();
}

void LeafWriter::Clear(const std::shared_ptr<PartFile>& part, std::uint16_t file, LeafRange leaves) {
  Change(part, [part, file, leaves] {
    AtDisk(file, leaves.first * kLeafBytes, leaves.count * kLeafBytes, [&] { part->Clear(leaves); });
  });
}

void LeafWriter::Afterwards(const std::shared_ptr<PartFile>& part, SerialJobs::Job job) {
  HandOver();
  part->changes->Post(std::move(job));
}

AlignedBuffer LeafWriter::SpareBuffer() {
  std::lock_guard<std::mutex> guard(mutex_);
  if (spare_.empty()) return MakeAlignedBuffer(kMaxPayloadBytes);
  AlignedBuffer buffer = std::move(spare_.back());
  spare_.pop_back();
  return buffer;
}

void LeafWriter::HandOver() {
  if (const auto handful = std::move(gathered_)) {
    Change(handful->part, [this, handful] { WriteAll(*handful); });
  }
}

void LeafWriter::Change(const std::shared_ptr<PartFile>& part, std::function<void()> change) {
  AwaitChanges(kChanges - 1);
  {
    std::lock_guard<std::mutex> guard(mutex_);
    changes_++;
  }
  part->changes->Post([self = shared_from_this(), change = std::move(change)] {
    try {
      if (!self->connection_->has_given_up()) change();
    } catch (...) {
      self->connection_->GiveUp(std::current_exception());
    }
    std::lock_guard<std::mutex> guard(self->mutex_);
    self->changes_--;
    self->changed_.notify_all();
  });
}

void LeafWriter::AwaitChanges(std::size_t limit) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return changes_ <= limit; });
}

void LeafWriter::WriteAll(Handful& handful) {
  for (const Leaf& leaf : handful.leaves) {
    const FrameHeader& header = leaf.header;
    AtDisk(header.file, header.offset, header.length, [&] {
      handful.part->Write(header.offset, leaf.bytes.get(), header.length, (header.flags & kFlagResend) != 0);
    });
  }
  std::lock_guard<std::mutex> guard(mutex_);
  for (Leaf& leaf : handful.leaves) spare_.push_back(std::move(leaf.bytes));
}

}  // namespace ferry
