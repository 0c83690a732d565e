// What the target's side gives a connection, as JavaScript sees it: parts, and the table in which connections find them.
#pragma once

#include <napi.h>

#include <memory>

#include "target_connection.h"

namespace ferry {

// `new Part({fd, journalFd, journalEnd}, verified, older, readBack, beforeReadBack)`. The descriptors stay the caller's.
class PartObject final : public Napi::ObjectWrap<PartObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit PartObject(const Napi::CallbackInfo& info);
  const std::shared_ptr<PartFile>& part() const { return part_; }

 private:
  Napi::Value Counts(const Napi::CallbackInfo& info);
  std::shared_ptr<PartFile> part_;
};

class PartTableObject final : public Napi::ObjectWrap<PartTableObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit PartTableObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PartTableObject>(info) {}
  const std::shared_ptr<PartTable>& table() const { return table_; }

 private:
  void Set(const Napi::CallbackInfo& info);
  void Delete(const Napi::CallbackInfo& info);

  const std::shared_ptr<PartTable> table_ = std::make_shared<PartTable>();
};

}  // namespace ferry
