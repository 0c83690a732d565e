#include "digest_tree.h"

#include <sys/mman.h>

#include <cassert>
#include <new>
#include <string>

namespace ferry {

namespace {

constexpr Digest kZeroDigest{};

std::size_t MappedBytes(std::int64_t leaf_count) { return static_cast<std::size_t>(leaf_count) * sizeof(Digest); }

Digest* MapDigests(std::int64_t leaf_count) {
  if (leaf_count == 0) return nullptr;
  void* memory = mmap(nullptr, MappedBytes(leaf_count), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<Digest*>(memory);
}

}  // namespace

DigestTree::DigestTree(Algorithm algorithm, std::int64_t size_bytes)
    : algorithm_(algorithm),
      size_bytes_(size_bytes),
      leaf_count_((size_bytes + kLeafBytes - 1) / kLeafBytes),
      digests_(MapDigests(leaf_count_)),
      known_(static_cast<std::size_t>(leaf_count_)) {}

DigestTree::~DigestTree() {
  if (digests_ != nullptr) munmap(digests_, MappedBytes(leaf_count_));
}

bool DigestTree::IsComplete() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return known_leaves_ == leaf_count_;
}

std::int64_t DigestTree::DataBytes() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return data_bytes_;
}

LeafState DigestTree::StateOf(std::int64_t leaf) const {
  std::lock_guard<std::mutex> guard(mutex_);
  return At(leaf);
}

std::vector<Digest> DigestTree::DigestsOf(LeafRange range) const {
  std::lock_guard<std::mutex> guard(mutex_);
  return {digests_ + range.first, digests_ + range.end()};
}

LeafRun DigestTree::RunFrom(std::int64_t first, std::int64_t limit) const {
  std::lock_guard<std::mutex> guard(mutex_);
  const LeafState state = At(first);
  const std::int64_t end = std::min(first + limit, leaf_count_);
  std::int64_t leaf = first + 1;
  while (leaf < end && At(leaf) == state) leaf++;
  return {{first, leaf - first}, state};
}

std::int64_t DigestTree::KnownFrom(std::int64_t first, std::int64_t limit) const {
  std::lock_guard<std::mutex> guard(mutex_);
  const std::int64_t end = std::min(first + limit, leaf_count_);
  std::int64_t leaf = first;
  while (leaf < end && known_[static_cast<std::size_t>(leaf)]) leaf++;
  return leaf - first;
}

void DigestTree::Set(std::int64_t leaf, const Digest& digest) {
  std::lock_guard<std::mutex> guard(mutex_);
  Mark(leaf, digest);
}

void DigestTree::SetZero(LeafRange range) {
  std::lock_guard<std::mutex> guard(mutex_);
  for (std::int64_t leaf = range.first; leaf < range.end(); leaf++) Mark(leaf, kZeroDigest);
}

Digest DigestTree::Root() const {
  std::lock_guard<std::mutex> guard(mutex_);
  assert(known_leaves_ == leaf_count_);
  Hasher hasher(algorithm_);
  hasher.Begin();
  for (const std::string& part : {std::string("ferry-digest-tree/1"), std::string(NameOf(algorithm_)),
                                  std::to_string(size_bytes_), std::to_string(kLeafBytes)}) {
    hasher.Add(part.c_str(), part.size() + 1);  // with its NUL
  }
  hasher.Add(digests_, MappedBytes(leaf_count_));
  return hasher.End();
}

LeafState DigestTree::At(std::int64_t leaf) const {
  if (!known_[static_cast<std::size_t>(leaf)]) return LeafState::kUnknown;
  return digests_[leaf] == kZeroDigest ? LeafState::kZero : LeafState::kData;
}

void DigestTree::Mark(std::int64_t leaf, const Digest& digest) {
  const LeafState before = At(leaf);
  if (before == LeafState::kUnknown) {
    known_[static_cast<std::size_t>(leaf)] = true;
    known_leaves_++;
  }
  if (before == LeafState::kData) data_bytes_ -= LeafBytesAt(leaf);
  if (digest != kZeroDigest) data_bytes_ += LeafBytesAt(leaf);
  // A page of digests is only touched if there is something to keep or to clear.
  if (before == LeafState::kData || digest != kZeroDigest) digests_[leaf] = digest;
}

}  // namespace ferry
