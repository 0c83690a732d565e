#include "tree_object.h"

#include <string.h>

#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "async_call.h"
#include "file_leaves.h"
#include "sparse_write.h"
#include "zero_scan.h"

namespace ferry {

namespace {

Napi::Buffer<std::uint8_t> BufferOf(Napi::Env env, const Digest* digests, std::size_t count) {
  return Napi::Buffer<std::uint8_t>::Copy(env, digests->data(), count * kDigestBytes);
}

std::int64_t ReadInto(DigestTree& tree, int fd, LeafRange range, bool direct) {
  LeafReader reader(fd, direct, tree.algorithm(), tree.size_bytes());
  tree.SetZero(range);
  return reader.Read(range, [&](std::int64_t leaf, const Digest& digest, const std::uint8_t*) { tree.Set(leaf, digest); });
}

// What is zero is not written: the target has holes there.
std::int64_t CopyWithDigests(DigestTree& tree, int source, int target, LeafRange range) {
  LeafReader reader(source, false, tree.algorithm(), tree.size_bytes());
  tree.SetZero(range);
  return reader.Read(range, [&](std::int64_t leaf, const Digest& digest, const std::uint8_t* bytes) {
    WriteNonZero(target, bytes, static_cast<std::size_t>(tree.LeafBytesAt(leaf)), leaf * kLeafBytes);
    tree.Set(leaf, digest);
  });
}

void HashInto(DigestTree& tree, std::int64_t first, const std::string& bytes) {
  Hasher hasher(tree.algorithm());
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto length = static_cast<std::int64_t>(bytes.size());
  for (std::int64_t at = 0; at < length; at += kLeafBytes) {
    const auto size = static_cast<std::size_t>(std::min(kLeafBytes, length - at));
    tree.Set(first + at / kLeafBytes, AllZero(data + at, size) ? Digest{} : hasher.Of(data + at, size));
  }
}

}  // namespace

Algorithm AlgorithmArgument(const Napi::CallbackInfo& info, std::size_t index) {
  const auto algorithm = AlgorithmOf(StringArgument(info, index));
  if (!algorithm) throw Napi::RangeError::New(info.Env(), "this build has no such digest algorithm");
  return *algorithm;
}

Napi::Function TreeObject::Define(Napi::Env env) {
  return DefineClass(env, "DigestTree",
                     {InstanceAccessor<&TreeObject::AlgorithmName>("algorithm"),
                      InstanceAccessor<&TreeObject::SizeBytes>("sizeBytes"),
                      InstanceAccessor<&TreeObject::LeafCount>("leafCount"),
                      InstanceAccessor<&TreeObject::IsComplete>("isComplete"),
                      InstanceAccessor<&TreeObject::DataBytes>("dataBytes"),
                      InstanceMethod<&TreeObject::StateOf>("stateOf"), InstanceMethod<&TreeObject::RunFrom>("runFrom"),
                      InstanceMethod<&TreeObject::DigestsOf>("digestsOf"), InstanceMethod<&TreeObject::Set>("set"),
                      InstanceMethod<&TreeObject::SetZero>("setZero"), InstanceMethod<&TreeObject::Root>("root"),
                      InstanceMethod<&TreeObject::Read>("read"), InstanceMethod<&TreeObject::Copy>("copy"),
                      InstanceMethod<&TreeObject::Hash>("hash")});
}

TreeObject::TreeObject(Info info)
    : Napi::ObjectWrap<TreeObject>(info),
      tree_(std::make_shared<DigestTree>(AlgorithmArgument(info, 0), BytesArgument(info, 1))) {}

Napi::Value TreeObject::AlgorithmName(Info info) {
  return Napi::String::New(info.Env(), NameOf(tree_->algorithm()));
}

Napi::Value TreeObject::SizeBytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(tree_->size_bytes()));
}

Napi::Value TreeObject::LeafCount(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(tree_->leaf_count()));
}

Napi::Value TreeObject::IsComplete(Info info) { return Napi::Boolean::New(info.Env(), tree_->IsComplete()); }

Napi::Value TreeObject::DataBytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(tree_->DataBytes()));
}

Napi::Value TreeObject::StateOf(Info info) {
  const LeafRange leaf{BytesArgument(info, 0), 1};
  if (leaf.first >= tree_->leaf_count()) throw Napi::RangeError::New(info.Env(), "no such leaf");
  constexpr const char* kNames[] = {"unknown", "zero", "data"};
  return Napi::String::New(info.Env(), kNames[static_cast<std::size_t>(tree_->StateOf(leaf.first))]);
}

// How many leaves from here on have the state of the first, `limit` at most.
Napi::Value TreeObject::RunFrom(Info info) {
  const LeafRange wanted{BytesArgument(info, 0), BytesArgument(info, 1)};
  if (wanted.first >= tree_->leaf_count()) throw Napi::RangeError::New(info.Env(), "no such leaf");
  return Napi::Number::New(info.Env(), static_cast<double>(tree_->RunFrom(wanted.first, wanted.count).count));
}

Napi::Value TreeObject::DigestsOf(Info info) {
  const std::vector<Digest> digests = tree_->DigestsOf(RangeArgument(info, 0));
  return BufferOf(info.Env(), digests.data(), digests.size());
}

void TreeObject::Set(Info info) {
  const std::int64_t first = BytesArgument(info, 0);
  const Napi::Uint8Array bytes = Uint8ArrayArgument(info, 1);
  const auto count = static_cast<std::int64_t>(bytes.ByteLength() / kDigestBytes);
  if (bytes.ByteLength() % kDigestBytes != 0 || first + count > tree_->leaf_count()) {
    throw Napi::RangeError::New(info.Env(), "no such leaves");
  }
  for (std::int64_t index = 0; index < count; index++) {
    Digest digest;
    memcpy(digest.data(), bytes.Data() + index * kDigestBytes, kDigestBytes);
    tree_->Set(first + index, digest);
  }
}

void TreeObject::SetZero(Info info) { tree_->SetZero(RangeArgument(info, 0)); }

Napi::Value TreeObject::Root(Info info) {
  if (!tree_->IsComplete()) throw Napi::Error::New(info.Env(), "a root needs every leaf");
  const Digest root = tree_->Root();
  return BufferOf(info.Env(), &root, 1);
}

Napi::Value TreeObject::Read(Info info) {
  auto work = [tree = tree_, fd = IntArgument(info, 0), range = RangeArgument(info, 1),
               direct = BooleanArgument(info, 3)] { return ReadInto(*tree, fd, range, direct); };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), [](Napi::Env env, std::int64_t& bytes_read) {
    return Napi::Number::New(env, static_cast<double>(bytes_read));
  });
}

Napi::Value TreeObject::Copy(Info info) {
  auto work = [tree = tree_, source = IntArgument(info, 0), target = IntArgument(info, 1),
               range = RangeArgument(info, 2)] { return CopyWithDigests(*tree, source, target, range); };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), [](Napi::Env env, std::int64_t& bytes_read) {
    return Napi::Number::New(env, static_cast<double>(bytes_read));
  });
}

// Works on a copy: JavaScript may change or drop the buffer while a worker reads. A copy costs a fraction of a hash.
Napi::Value TreeObject::Hash(Info info) {
  const std::int64_t first = BytesArgument(info, 0);
  const Napi::Uint8Array given = Uint8ArrayArgument(info, 1);
  const auto length = static_cast<std::int64_t>(given.ByteLength());
  if (first * kLeafBytes + length > tree_->size_bytes()) throw Napi::RangeError::New(info.Env(), "no such leaves");
  auto work = [tree = tree_, first, bytes = std::string(reinterpret_cast<const char*>(given.Data()),
                                                        given.ByteLength())] { HashInto(*tree, first, bytes); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

LeafRange TreeObject::RangeArgument(Info info, std::size_t index) const {
  const LeafRange range{BytesArgument(info, index), BytesArgument(info, index + 1)};
  if (range.end() > tree_->leaf_count()) throw Napi::RangeError::New(info.Env(), "no such leaves");
  return range;
}

}  // namespace ferry
