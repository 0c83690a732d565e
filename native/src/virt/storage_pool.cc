#include "storage_pool.h"

#include <utility>

#include "addon_data.h"
#include "arguments.h"
#include "async_call.h"
#include "libvirt_failure.h"
#include "typed_params.h"

namespace ferry {

Napi::Function StoragePool::Define(Napi::Env env) {
  return DefineClass(env, "StoragePool",
                     {
                         InstanceAccessor<&StoragePool::Name>("name"),
                         InstanceAccessor<&StoragePool::Uuid>("uuid"),
                         InstanceMethod<&StoragePool::IsActive>("isActive"),
                         InstanceMethod<&StoragePool::GetInfo>("getInfo"),
                         InstanceMethod<&StoragePool::GetXmlDesc>("getXMLDesc"),
                         InstanceMethod<&StoragePool::Refresh>("refresh"),
                         InstanceMethod<&StoragePool::Free>("free"),
                     });
}

Napi::Object StoragePool::New(Napi::Env env, StoragePoolRef handle, ChildrenRef children) {
  const Napi::Object object = VirtData::Of(env).storage_pool_class.Value().New({});
  StoragePool* pool = Unwrap(object);
  pool->handle_ = std::move(handle);
  pool->children_ = std::move(children);
  pool->children_->Add(pool);
  return object;
}

StoragePool::~StoragePool() {
  if (children_) children_->Remove(this);
}

const StoragePoolRef& StoragePool::Handle(Info info) const {
  if (!handle_) ThrowHandleClosed(info.Env(), "the storage pool's handle");
  return handle_;
}

Napi::Value StoragePool::Name(Info info) {
  return Napi::String::New(info.Env(), virStoragePoolGetName(Handle(info)->get()));
}

Napi::Value StoragePool::Uuid(Info info) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virStoragePoolGetUUIDString(Handle(info)->get(), uuid);
  return Napi::String::New(info.Env(), uuid);
}

Napi::Value StoragePool::IsActive(Info info) {
  return AsyncCall(
      info.Env(), Lane::kFast, [handle = Handle(info)] { return LIBVIRT(virStoragePoolIsActive, handle->get()); },
      [](Napi::Env env, int& active) { return Napi::Boolean::New(env, active == 1); });
}

Napi::Value StoragePool::GetInfo(Info info) {
  auto work = [handle = Handle(info)] {
    virStoragePoolInfo facts;
    LIBVIRT(virStoragePoolGetInfo, handle->get(), &facts);
    return facts;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, virStoragePoolInfo& facts) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("state", facts.state);
    object.Set("capacity", BigIntOf(env, facts.capacity));
    object.Set("allocation", BigIntOf(env, facts.allocation));
    object.Set("available", BigIntOf(env, facts.available));
    return object;
  });
}

Napi::Value StoragePool::GetXmlDesc(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    return LIBVIRT_STRING(virStoragePoolGetXMLDesc, handle->get(), flags);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work),
                   [](Napi::Env env, std::string& xml) { return Napi::String::New(env, xml); });
}

Napi::Value StoragePool::Refresh(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    LIBVIRT(virStoragePoolRefresh, handle->get(), flags);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value StoragePool::Free(Info info) {
  Drop();
  return info.Env().Undefined();
}

}  // namespace ferry
