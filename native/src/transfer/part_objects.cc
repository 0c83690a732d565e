#include "part_objects.h"

#include "arguments.h"
#include "ask_javascript.h"
#include "transfer_data.h"
#include "tree_object.h"

namespace ferry {

namespace {

ReadBack ReadBackArgument(const Napi::CallbackInfo& info, std::size_t index) {
  const std::string mode = StringArgument(info, index);
  if (mode == "none") return ReadBack::kNone;
  if (mode == "cache") return ReadBack::kCache;
  if (mode == "direct") return ReadBack::kDirect;
  throw Napi::RangeError::New(info.Env(), "no such way to read back");
}

std::function<void(LeafRange)> ReadBackHook(Napi::Value value) {
  if (!value.IsFunction()) return nullptr;
  auto function = std::make_shared<JavaScriptFunction>(value.As<Napi::Function>());
  return [function](LeafRange range) {
    function->AskUntilDone([range](Napi::Env env) {
      Napi::Object argument = Napi::Object::New(env);
      argument.Set("first", static_cast<double>(range.first));
      argument.Set("count", static_cast<double>(range.count));
      return argument;
    });
  };
}

}  // namespace

Napi::Function PartObject::Define(Napi::Env env) {
  return DefineClass(env, "Part", {InstanceMethod<&PartObject::Counts>("counts")});
}

PartObject::PartObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PartObject>(info) {
  const auto tree = [&](std::size_t index) {
    return ObjectOf<TreeObject>(info[index], &TransferData::tree_class).tree();
  };
  const PartFile::Files files{IntArgument(info, 0), IntArgument(info, 1), BytesArgument(info, 2)};
  part_ = std::make_shared<PartFile>(files, tree(3), info[4].IsUndefined() ? nullptr : tree(4),
                                     ReadBackArgument(info, 5));
  part_->before_read_back = ReadBackHook(info[6]);
}

// [received, zero] bytes, and how many leaves were asked for again.
Napi::Value PartObject::Counts(const Napi::CallbackInfo& info) {
  Napi::Float64Array array = Napi::Float64Array::New(info.Env(), 3);
  array[0] = static_cast<double>(part_->received_bytes);
  array[1] = static_cast<double>(part_->zero_bytes);
  array[2] = static_cast<double>(part_->asked_again);
  return array;
}

Napi::Function PartTableObject::Define(Napi::Env env) {
  return DefineClass(
      env, "PartTable",
      {InstanceMethod<&PartTableObject::Set>("set"), InstanceMethod<&PartTableObject::Delete>("delete")});
}

void PartTableObject::Set(const Napi::CallbackInfo& info) {
  const auto index = static_cast<std::uint16_t>(IntArgument(info, 0));
  table_->Set(index, ObjectOf<PartObject>(info[1], &TransferData::part_class).part());
}

void PartTableObject::Delete(const Napi::CallbackInfo& info) {
  table_->Delete(static_cast<std::uint16_t>(IntArgument(info, 0)));
}

}  // namespace ferry
