// The digest tree as JavaScript sees it: `new DigestTree(algorithm, sizeBytes)`. The tree itself is shared with whoever
// works on it, and outlives the object if need be.
#pragma once

#include <napi.h>

#include <memory>

#include "digest_tree.h"

namespace ferry {

class TreeObject final : public Napi::ObjectWrap<TreeObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit TreeObject(const Napi::CallbackInfo& info);

  const std::shared_ptr<DigestTree>& tree() const { return tree_; }

 private:
  using Info = const Napi::CallbackInfo&;

  Napi::Value AlgorithmName(Info info);
  Napi::Value SizeBytes(Info info);
  Napi::Value LeafCount(Info info);
  Napi::Value IsComplete(Info info);
  Napi::Value DataBytes(Info info);
  Napi::Value StateOf(Info info);
  Napi::Value RunFrom(Info info);
  Napi::Value DigestsOf(Info info);
  void Set(Info info);
  void SetZero(Info info);
  Napi::Value Root(Info info);
  Napi::Value Read(Info info);
  Napi::Value Copy(Info info);
  Napi::Value Hash(Info info);

  LeafRange RangeArgument(Info info, std::size_t index) const;

  std::shared_ptr<DigestTree> tree_;
};

// Throws a RangeError for a name that this build cannot compute.
Algorithm AlgorithmArgument(const Napi::CallbackInfo& info, std::size_t index);

}  // namespace ferry
