#include "queue_objects.h"

#include "arguments.h"
#include "transfer_data.h"
#include "tree_object.h"

namespace ferry {

Napi::Function QueueObject::Define(Napi::Env env) {
  return DefineClass(env, "SegmentQueue",
                     {InstanceMethod<&QueueObject::Add>("add"), InstanceMethod<&QueueObject::Counts>("counts"),
                      InstanceAccessor<&QueueObject::Verified>("verified")});
}

QueueObject::QueueObject(Info info)
    : Napi::ObjectWrap<QueueObject>(info), queue_(std::make_shared<SegmentQueue>(AlgorithmArgument(info, 0))) {}

void QueueObject::Add(Info info) {
  const auto tree = [&](std::size_t index) {
    return ObjectOf<TreeObject>(info[index], &TransferData::tree_class).tree();
  };
  const auto index = static_cast<std::uint16_t>(IntArgument(info, 0));
  queue_->Add(index, IntArgument(info, 1), tree(2), info[3].IsUndefined() ? nullptr : tree(3));
}

// [sent, skipped] bytes of each file, one file after the other, in the order in which they were added.
Napi::Value QueueObject::Counts(Info info) {
  const std::vector<std::int64_t> counts = queue_->Counts();
  Napi::Float64Array array = Napi::Float64Array::New(info.Env(), counts.size());
  std::copy(counts.begin(), counts.end(), array.Data());
  return array;
}

Napi::Value QueueObject::Verified(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(queue_->verified));
}

Napi::Function TokenBucketObject::Define(Napi::Env env) {
  return DefineClass(env, "TokenBucket", {InstanceMethod<&TokenBucketObject::SetRate>("setRate")});
}

void TokenBucketObject::SetRate(const Napi::CallbackInfo& info) {
  bucket_->SetRate(static_cast<double>(BytesArgument(info, 0)));
}

}  // namespace ferry
