// Callbacks of one connection, and how they end.
//
// libvirt calls from its event thread and frees a callback's data on any thread; both only know a listener by
// number and hand over plain data. `Close` runs on the pool and also undoes registrations that were in flight.
#pragma once

#include <libvirt/libvirt.h>
#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "env_state.h"
#include "handles.h"

namespace ferry {

// Owned by libvirt once registered. Its destruction lets go of the JavaScript function.
class Listener {
 public:
  using MakeArgument = std::function<Napi::Value(Napi::Env)>;

  Listener(std::shared_ptr<EnvState> env, EnvState::ListenerId id) : env_(std::move(env)), id_(id) {}
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  void Call(MakeArgument make_argument) const;  // any thread

 private:
  std::shared_ptr<EnvState> env_;
  EnvState::ListenerId id_;
};

class Subscriptions {
 public:
  // Workers. Each throws LibvirtFailure; the events answer libvirt's callback id.
  int AddLifecycle(const ConnectRef& connect, std::unique_ptr<Listener> listener);
  int AddIoError(const ConnectRef& connect, std::unique_ptr<Listener> listener);
  void SetClose(const ConnectRef& connect, std::unique_ptr<Listener> listener);
  void Remove(const ConnectRef& connect, int callback_id);
  void Close(const ConnectRef& connect);

 private:
  int Add(const ConnectRef& connect, int event, virConnectDomainEventGenericCallback callback,
          std::unique_ptr<Listener> listener);

  std::mutex mutex_;
  std::set<int> callback_ids_;
  bool has_close_callback_ = false;
  bool closed_ = false;
};

}  // namespace ferry
