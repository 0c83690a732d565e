// A connection to a hypervisor, as JavaScript sees it. Every method that can block answers a promise.
#pragma once

#include <napi.h>

#include <memory>

#include "children.h"
#include "env_state.h"
#include "handles.h"
#include "subscriptions.h"

namespace ferry {

class Connect : public Napi::ObjectWrap<Connect> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Open(const Napi::CallbackInfo& info);

  explicit Connect(const Napi::CallbackInfo& info);
  ~Connect() override;

  // Lets go of the connection and all that came from it; libvirt is told on the pool. Calls in flight go on.
  void Detach();

 private:
  using Info = const Napi::CallbackInfo&;

  // connect.cc
  Napi::Value Close(Info info);
  Napi::Value IsAlive(Info info);
  Napi::Value GetType(Info info);
  Napi::Value GetLibVersion(Info info);
  Napi::Value GetVersion(Info info);
  Napi::Value GetHostname(Info info);
  Napi::Value GetCapabilities(Info info);
  Napi::Value GetDomainCapabilities(Info info);
  Napi::Value CompareHypervisorCpu(Info info);
  Napi::Value SetKeepAlive(Info info);
  Napi::Value OnLifecycle(Info info);
  Napi::Value OnIoError(Info info);
  Napi::Value OnClose(Info info);
  Napi::Value RemoveListener(Info info);
  // connect_domains.cc
  Napi::Value LookupByName(Info info);
  Napi::Value LookupByUuid(Info info);
  Napi::Value DefineXml(Info info);
  Napi::Value ListAllDomains(Info info);
  Napi::Value GetAllDomainStats(Info info);
  // connect_resources.cc
  Napi::Value ListAllStoragePools(Info info);
  Napi::Value ListAllNetworks(Info info);

  // Throws in JavaScript when closed.
  const ConnectRef& Handle(Info info) const;
  std::unique_ptr<Listener> MakeListener(Info info) const;
  template <class LookUp>
  Napi::Value OneDomain(Info info, LookUp look_up);

  std::shared_ptr<EnvState> env_;
  ConnectRef handle_;
  ChildrenRef children_ = std::make_shared<Children>();
  std::shared_ptr<Subscriptions> subscriptions_ = std::make_shared<Subscriptions>();
};

}  // namespace ferry
