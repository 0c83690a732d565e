#include "domain.h"

#include <utility>

#include "addon_data.h"
#include "libvirt_failure.h"

namespace ferry {

Napi::Function Domain::Define(Napi::Env env) {
  return DefineClass(env, "Domain",
                     {
                         InstanceAccessor<&Domain::Name>("name"),
                         InstanceAccessor<&Domain::Uuid>("uuid"),
                         InstanceAccessor<&Domain::Id>("id"),
                         InstanceMethod<&Domain::Free>("free"),
                         InstanceMethod<&Domain::Create>("create"),
                         InstanceMethod<&Domain::Shutdown>("shutdown"),
                         InstanceMethod<&Domain::Destroy>("destroy"),
                         InstanceMethod<&Domain::Suspend>("suspend"),
                         InstanceMethod<&Domain::Resume>("resume"),
                         InstanceMethod<&Domain::Undefine>("undefine"),
                         InstanceMethod<&Domain::SetAutostart>("setAutostart"),
                         InstanceMethod<&Domain::SetMetadata>("setMetadata"),
                         InstanceMethod<&Domain::BlockResize>("blockResize"),
                         InstanceMethod<&Domain::GetState>("getState"),
                         InstanceMethod<&Domain::GetInfo>("getInfo"),
                         InstanceMethod<&Domain::GetXmlDesc>("getXMLDesc"),
                         InstanceMethod<&Domain::GetMetadata>("getMetadata"),
                         InstanceMethod<&Domain::IsPersistent>("isPersistent"),
                         InstanceMethod<&Domain::GetAutostart>("getAutostart"),
                         InstanceMethod<&Domain::HasManagedSaveImage>("hasManagedSaveImage"),
                         InstanceMethod<&Domain::ListAllSnapshots>("listAllSnapshots"),
                         InstanceMethod<&Domain::ListAllCheckpoints>("listAllCheckpoints"),
                         InstanceMethod<&Domain::GetJobInfo>("getJobInfo"),
                         InstanceMethod<&Domain::GetJobStats>("getJobStats"),
                         InstanceMethod<&Domain::AbortJob>("abortJob"),
                         InstanceMethod<&Domain::BlockJobInfo>("blockJobInfo"),
                         InstanceMethod<&Domain::SnapshotCreateXml>("snapshotCreateXML"),
                         InstanceMethod<&Domain::CheckpointCreateXml>("checkpointCreateXML"),
                     });
}

Napi::Object Domain::New(Napi::Env env, DomainRef handle, ChildrenRef children) {
  const Napi::Object object = VirtData::Of(env).domain_class.Value().New({});
  Domain* domain = Unwrap(object);
  domain->handle_ = std::move(handle);
  domain->children_ = std::move(children);
  domain->children_->Add(domain);
  return object;
}

Domain::~Domain() {
  if (children_) children_->Remove(this);
}

const DomainRef& Domain::Handle(Info info) const {
  if (!handle_) ThrowHandleClosed(info.Env(), "the domain's handle");
  return handle_;
}

Napi::Value Domain::Name(Info info) { return Napi::String::New(info.Env(), virDomainGetName(Handle(info)->get())); }

Napi::Value Domain::Uuid(Info info) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(Handle(info)->get(), uuid);
  return Napi::String::New(info.Env(), uuid);
}

// -1, which libvirt gives as an unsigned number, is "not running".
Napi::Value Domain::Id(Info info) {
  return Napi::Number::New(info.Env(), static_cast<std::int32_t>(virDomainGetID(Handle(info)->get())));
}

Napi::Value Domain::Free(Info info) {
  Drop();
  return info.Env().Undefined();
}

Napi::Value Domain::Create(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    LIBVIRT(virDomainCreateWithFlags, handle->get(), flags);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value Domain::Shutdown(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    LIBVIRT(virDomainShutdownFlags, handle->get(), flags);
  };
  // May ask a guest agent that does not answer.
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value Domain::Destroy(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    LIBVIRT(virDomainDestroyFlags, handle->get(), flags);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value Domain::Suspend(Info info) {
  return AsyncCall(info.Env(), Lane::kSlow, [handle = Handle(info)] { LIBVIRT(virDomainSuspend, handle->get()); });
}

Napi::Value Domain::Resume(Info info) {
  return AsyncCall(info.Env(), Lane::kSlow, [handle = Handle(info)] { LIBVIRT(virDomainResume, handle->get()); });
}

Napi::Value Domain::Undefine(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    LIBVIRT(virDomainUndefineFlags, handle->get(), flags);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

Napi::Value Domain::SetAutostart(Info info) {
  auto work = [handle = Handle(info), autostart = BooleanArgument(info, 0)] {
    LIBVIRT(virDomainSetAutostart, handle->get(), autostart ? 1 : 0);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

Napi::Value Domain::SetMetadata(Info info) {
  auto work = [handle = Handle(info), type = IntArgument(info, 0), metadata = OptionalStringArgument(info, 1),
               key = OptionalStringArgument(info, 2), uri = OptionalStringArgument(info, 3),
               flags = FlagsArgument(info, 4)] {
    LIBVIRT(virDomainSetMetadata, handle->get(), type, OrNull(metadata), OrNull(key), OrNull(uri), flags);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

Napi::Value Domain::BlockResize(Info info) {
  auto work = [handle = Handle(info), disk = StringArgument(info, 0), size_bytes = BytesArgument(info, 1),
               flags = FlagsArgument(info, 2)] {
    LIBVIRT(virDomainBlockResize, handle->get(), disk.c_str(), static_cast<unsigned long long>(size_bytes), flags);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

}  // namespace ferry
