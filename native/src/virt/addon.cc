// The libvirt addon: `init` gives it the error class, `open` answers connections, the rest hangs off those.
#include <napi.h>

#include <memory>

#include "addon_data.h"
#include "arguments.h"
#include "connect.h"
#include "diagnostics.h"
#include "domain.h"
#include "event_loop.h"
#include "storage_pool.h"

namespace ferry {

namespace {

void Init(const Napi::CallbackInfo& info) {
  VirtData::Of(info.Env()).error_class = Napi::Persistent(FunctionArgument(info, 0));
}

Napi::Object Load(Napi::Env env, Napi::Object exports) {
  StartEventLoop();
  auto owned = std::make_unique<VirtData>();
  VirtData* data = owned.get();
  EnvState::Install(env, std::move(owned));

  data->connect_class = Napi::Persistent(Connect::Define(env));
  data->domain_class = Napi::Persistent(Domain::Define(env));
  data->storage_pool_class = Napi::Persistent(StoragePool::Define(env));

  exports.Set("Connect", data->connect_class.Value());
  exports.Set("Domain", data->domain_class.Value());
  exports.Set("StoragePool", data->storage_pool_class.Value());
  exports.Set("init", Napi::Function::New<Init>(env, "init"));
  exports.Set("open", Napi::Function::New<Connect::Open>(env, "open"));
  AddDiagnostics(env, exports);
  return exports;
}

}  // namespace

}  // namespace ferry

using ferry::Load;  // the macro takes a plain name only
NODE_API_MODULE(virt, Load)
