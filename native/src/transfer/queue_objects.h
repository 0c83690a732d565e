// What the source's side gives a connection, as JavaScript sees it: the queue of segments, and limits on bandwidth.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "segment_queue.h"
#include "token_bucket.h"

namespace ferry {

// `new SegmentQueue(algorithm)`; every file of it has a digest tree of that algorithm.
class QueueObject final : public Napi::ObjectWrap<QueueObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit QueueObject(const Napi::CallbackInfo& info);
  const std::shared_ptr<SegmentQueue>& queue() const { return queue_; }

 private:
  using Info = const Napi::CallbackInfo&;

  void Add(Info info);
  Napi::Value Counts(Info info);
  Napi::Value Verified(Info info);

  std::shared_ptr<SegmentQueue> queue_;
};

// `new TokenBucket()`, without a limit until one is set.
class TokenBucketObject final : public Napi::ObjectWrap<TokenBucketObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit TokenBucketObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TokenBucketObject>(info) {}
  const std::shared_ptr<TokenBucket>& bucket() const { return bucket_; }

 private:
  void SetRate(const Napi::CallbackInfo& info);

  const std::shared_ptr<TokenBucket> bucket_ = std::make_shared<TokenBucket>();
};

}  // namespace ferry
