// A storage pool, as JavaScript sees it.
#pragma once

#include <napi.h>

#include "children.h"
#include "handles.h"

namespace ferry {

class StoragePool : public Napi::ObjectWrap<StoragePool>, public Child {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object New(Napi::Env env, StoragePoolRef handle, ChildrenRef children);

  explicit StoragePool(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  ~StoragePool() override;
  void Drop() override { handle_ = nullptr; }

 private:
  using Info = const Napi::CallbackInfo&;

  Napi::Value Name(Info info);
  Napi::Value Uuid(Info info);
  Napi::Value IsActive(Info info);
  Napi::Value GetInfo(Info info);
  Napi::Value GetXmlDesc(Info info);
  Napi::Value Refresh(Info info);
  Napi::Value Free(Info info);
  const StoragePoolRef& Handle(Info info) const;

  StoragePoolRef handle_;
  ChildrenRef children_;
};

}  // namespace ferry
