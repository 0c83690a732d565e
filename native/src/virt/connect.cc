#include "connect.h"

#include <utility>

#include "addon_data.h"
#include "arguments.h"
#include "async_call.h"
#include "libvirt_failure.h"

namespace ferry {

namespace {

Napi::Value TextToJs(Napi::Env env, std::string& text) { return Napi::String::New(env, text); }
Napi::Value VersionToJs(Napi::Env env, unsigned long& version) {
  return Napi::Number::New(env, static_cast<double>(version));
}
Napi::Value IntToJs(Napi::Env env, int& number) { return Napi::Number::New(env, number); }

// Never libvirt's default: that one asks for passwords on the terminal.
virConnectAuth no_credentials = {nullptr, 0, nullptr, nullptr};

}  // namespace

VirtData::~VirtData() {
  const std::set<Connect*> open = std::move(open_connects);
  open_connects.clear();
  for (Connect* connect : open) connect->Detach();
}

Napi::Function Connect::Define(Napi::Env env) {
  return DefineClass(env, "Connect",
                     {
                         InstanceMethod<&Connect::Close>("close"),
                         InstanceMethod<&Connect::IsAlive>("isAlive"),
                         InstanceMethod<&Connect::GetType>("getType"),
                         InstanceMethod<&Connect::GetLibVersion>("getLibVersion"),
                         InstanceMethod<&Connect::GetVersion>("getVersion"),
                         InstanceMethod<&Connect::GetHostname>("getHostname"),
                         InstanceMethod<&Connect::GetCapabilities>("getCapabilities"),
                         InstanceMethod<&Connect::GetDomainCapabilities>("getDomainCapabilities"),
                         InstanceMethod<&Connect::CompareHypervisorCpu>("compareHypervisorCPU"),
                         InstanceMethod<&Connect::SetKeepAlive>("setKeepAlive"),
                         InstanceMethod<&Connect::OnLifecycle>("onLifecycle"),
                         InstanceMethod<&Connect::OnIoError>("onIoError"),
                         InstanceMethod<&Connect::OnClose>("onClose"),
                         InstanceMethod<&Connect::RemoveListener>("removeListener"),
                         InstanceMethod<&Connect::LookupByName>("lookupByName"),
                         InstanceMethod<&Connect::LookupByUuid>("lookupByUUID"),
                         InstanceMethod<&Connect::DefineXml>("defineXML"),
                         InstanceMethod<&Connect::ListAllDomains>("listAllDomains"),
                         InstanceMethod<&Connect::GetAllDomainStats>("getAllDomainStats"),
                         InstanceMethod<&Connect::ListAllStoragePools>("listAllStoragePools"),
                         InstanceMethod<&Connect::ListAllNetworks>("listAllNetworks"),
                     });
}

Napi::Value Connect::Open(Info info) {
  auto work = [uri = StringArgument(info, 0), flags = FlagsArgument(info, 1)] {
    return std::make_shared<ConnectHandle>(LIBVIRT(virConnectOpenAuth, uri.c_str(), &no_credentials, flags));
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), [](Napi::Env env, ConnectRef& handle) {
    const Napi::Object object = VirtData::Of(env).connect_class.Value().New({});
    Unwrap(object)->handle_ = std::move(handle);
    return object;
  });
}

Connect::Connect(Info info) : ObjectWrap(info), env_(EnvState::Of(info.Env())) {
  VirtData::Of(info.Env()).open_connects.insert(this);
}

Connect::~Connect() {
  // Garbage, or the environment is ending and VirtData is gone: then it has detached us already.
  if (auto* data = static_cast<VirtData*>(env_->data())) data->open_connects.erase(this);
  Detach();
}

void Connect::Detach() {
  children_->DropAll();
  if (!handle_) return;
  WorkerPool::Get().Post(Lane::kSlow, [subscriptions = subscriptions_, handle = std::move(handle_)] {
    subscriptions->Close(handle);
  });
  handle_ = nullptr;
}

Napi::Value Connect::Close(Info info) {
  children_->DropAll();
  const ConnectRef handle = std::exchange(handle_, nullptr);
  return AsyncCall(info.Env(), Lane::kSlow, [subscriptions = subscriptions_, handle] {
    if (handle) subscriptions->Close(handle);
  });
}

const ConnectRef& Connect::Handle(Info info) const {
  if (!handle_) ThrowHandleClosed(info.Env(), "the connection");
  return handle_;
}

std::unique_ptr<Listener> Connect::MakeListener(Info info) const {
  return std::make_unique<Listener>(env_, env_->KeepListener(FunctionArgument(info, 0)));
}

Napi::Value Connect::IsAlive(Info info) {
  return AsyncCall(
      info.Env(), Lane::kFast, [handle = Handle(info)] { return LIBVIRT(virConnectIsAlive, handle->get()); },
      [](Napi::Env env, int& alive) { return Napi::Boolean::New(env, alive == 1); });
}

Napi::Value Connect::GetType(Info info) {
  // libvirt keeps this text; it is not ours to free.
  auto work = [handle = Handle(info)] { return std::string(LIBVIRT(virConnectGetType, handle->get())); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextToJs);
}

Napi::Value Connect::GetLibVersion(Info info) {
  auto work = [handle = Handle(info)] {
    unsigned long version = 0;
    LIBVIRT(virConnectGetLibVersion, handle->get(), &version);
    return version;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), VersionToJs);
}

Napi::Value Connect::GetVersion(Info info) {
  auto work = [handle = Handle(info)] {
    unsigned long version = 0;
    LIBVIRT(virConnectGetVersion, handle->get(), &version);
    return version;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), VersionToJs);
}

Napi::Value Connect::GetHostname(Info info) {
  auto work = [handle = Handle(info)] { return LIBVIRT_STRING(virConnectGetHostname, handle->get()); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextToJs);
}

Napi::Value Connect::GetCapabilities(Info info) {
  auto work = [handle = Handle(info)] { return LIBVIRT_STRING(virConnectGetCapabilities, handle->get()); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextToJs);
}

Napi::Value Connect::GetDomainCapabilities(Info info) {
  auto work = [handle = Handle(info), emulator = OptionalStringArgument(info, 0),
               arch = OptionalStringArgument(info, 1), machine = OptionalStringArgument(info, 2),
               virttype = OptionalStringArgument(info, 3), flags = FlagsArgument(info, 4)] {
    return LIBVIRT_STRING(virConnectGetDomainCapabilities, handle->get(), OrNull(emulator), OrNull(arch),
                          OrNull(machine), OrNull(virttype), flags);
  };
  // The first question about an emulator starts it to see what it can: not a short call.
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), TextToJs);
}

Napi::Value Connect::CompareHypervisorCpu(Info info) {
  auto work = [handle = Handle(info), emulator = OptionalStringArgument(info, 0),
               arch = OptionalStringArgument(info, 1), machine = OptionalStringArgument(info, 2),
               virttype = OptionalStringArgument(info, 3), cpu = StringArgument(info, 4),
               flags = FlagsArgument(info, 5)] {
    const int result = virConnectCompareHypervisorCPU(handle->get(), OrNull(emulator), OrNull(arch), OrNull(machine),
                                                      OrNull(virttype), cpu.c_str(), flags);
    return Checked("virConnectCompareHypervisorCPU", result);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), IntToJs);
}

Napi::Value Connect::SetKeepAlive(Info info) {
  auto work = [handle = Handle(info), interval_s = IntArgument(info, 0), count = FlagsArgument(info, 1)] {
    return LIBVIRT(virConnectSetKeepAlive, handle->get(), interval_s, count);
  };
  // 1 is "the other side does not speak it".
  return AsyncCall(info.Env(), Lane::kFast, std::move(work),
                   [](Napi::Env env, int& result) { return Napi::Boolean::New(env, result == 0); });
}

Napi::Value Connect::OnLifecycle(Info info) {
  const ConnectRef& handle = Handle(info);
  auto listener = std::make_shared<std::unique_ptr<Listener>>(MakeListener(info));
  auto work = [handle, subscriptions = subscriptions_, listener] {
    return subscriptions->AddLifecycle(handle, std::move(*listener));
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), IntToJs);
}

Napi::Value Connect::OnIoError(Info info) {
  const ConnectRef& handle = Handle(info);
  auto listener = std::make_shared<std::unique_ptr<Listener>>(MakeListener(info));
  auto work = [handle, subscriptions = subscriptions_, listener] {
    return subscriptions->AddIoError(handle, std::move(*listener));
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), IntToJs);
}

Napi::Value Connect::OnClose(Info info) {
  const ConnectRef& handle = Handle(info);
  auto listener = std::make_shared<std::unique_ptr<Listener>>(MakeListener(info));
  return AsyncCall(info.Env(), Lane::kFast, [handle, subscriptions = subscriptions_, listener] {
    subscriptions->SetClose(handle, std::move(*listener));
  });
}

Napi::Value Connect::RemoveListener(Info info) {
  auto work = [handle = Handle(info), subscriptions = subscriptions_, id = IntArgument(info, 0)] {
    subscriptions->Remove(handle, id);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

}  // namespace ferry
