#include "subscriptions.h"

#include <string>
#include <utility>

#include "libvirt_failure.h"

namespace ferry {

namespace {

struct DomainName {
  explicit DomainName(virDomainPtr domain) : name(virDomainGetName(domain)) {
    char text[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(domain, text) == 0) uuid = text;
  }
  Napi::Object ToJs(Napi::Env env) const {
    Napi::Object object = Napi::Object::New(env);
    object.Set("uuid", uuid);
    object.Set("name", name);
    return object;
  }
  std::string uuid;
  std::string name;
};

void OnLifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void* opaque) {
  static_cast<Listener*>(opaque)->Call([domain = DomainName(domain), event, detail](Napi::Env env) {
    Napi::Object object = domain.ToJs(env);
    object.Set("event", event);
    object.Set("detail", detail);
    return object;
  });
}

void OnIoError(virConnectPtr, virDomainPtr domain, const char* path, const char* alias, int action, const char* reason,
               void* opaque) {
  const auto text = [](const char* given) { return std::string(given != nullptr ? given : ""); };
  static_cast<Listener*>(opaque)->Call([domain = DomainName(domain), path = text(path), alias = text(alias), action,
                                        reason = text(reason)](Napi::Env env) {
    Napi::Object object = domain.ToJs(env);
    object.Set("path", path);
    object.Set("alias", alias);
    object.Set("action", action);
    object.Set("reason", reason);
    return object;
  });
}

void OnClose(virConnectPtr, int reason, void* opaque) {
  static_cast<Listener*>(opaque)->Call([reason](Napi::Env env) { return Napi::Number::New(env, reason); });
}

void FreeListener(void* opaque) { delete static_cast<Listener*>(opaque); }

}  // namespace

Listener::~Listener() {
  env_->Deliver([env = env_, id = id_](Napi::Env) { env->DropListener(id); });
}

void Listener::Call(MakeArgument make_argument) const {
  env_->Deliver([env = env_, id = id_, make_argument = std::move(make_argument)](Napi::Env e) {
    env->CallListener(id, e, make_argument(e));
  });
}

int Subscriptions::Add(const ConnectRef& connect, int event, virConnectDomainEventGenericCallback callback,
                       std::unique_ptr<Listener> listener) {
  const int id = LIBVIRT(virConnectDomainEventRegisterAny, connect->get(), nullptr, event, callback, listener.get(),
                         FreeListener);
  listener.release();  // libvirt's now
  std::lock_guard<std::mutex> guard(mutex_);
  if (closed_) {
    virConnectDomainEventDeregisterAny(connect->get(), id);
  } else {
    callback_ids_.insert(id);
  }
  return id;
}

int Subscriptions::AddLifecycle(const ConnectRef& connect, std::unique_ptr<Listener> listener) {
  return Add(connect, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(OnLifecycle), std::move(listener));
}

int Subscriptions::AddIoError(const ConnectRef& connect, std::unique_ptr<Listener> listener) {
  return Add(connect, VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, VIR_DOMAIN_EVENT_CALLBACK(OnIoError), std::move(listener));
}

void Subscriptions::SetClose(const ConnectRef& connect, std::unique_ptr<Listener> listener) {
  LIBVIRT(virConnectRegisterCloseCallback, connect->get(), OnClose, listener.get(), FreeListener);
  listener.release();
  std::lock_guard<std::mutex> guard(mutex_);
  if (closed_) {
    virConnectUnregisterCloseCallback(connect->get(), OnClose);
  } else {
    has_close_callback_ = true;
  }
}

void Subscriptions::Remove(const ConnectRef& connect, int callback_id) {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (callback_ids_.erase(callback_id) == 0) return;
  }
  LIBVIRT(virConnectDomainEventDeregisterAny, connect->get(), callback_id);
}

void Subscriptions::Close(const ConnectRef& connect) {
  std::set<int> ids;
  bool has_close_callback = false;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    closed_ = true;
    ids.swap(callback_ids_);
    std::swap(has_close_callback, has_close_callback_);
  }
  // The connection may be dead already; then these fail and nothing is lost.
  for (const int id : ids) virConnectDomainEventDeregisterAny(connect->get(), id);
  if (has_close_callback) virConnectUnregisterCloseCallback(connect->get(), OnClose);
  virResetLastError();
}

}  // namespace ferry
