// What the libvirt addon keeps per environment: its classes, the error class of the library above, and the
// connections that must be let go when the environment ends.
#pragma once

#include <napi.h>

#include <set>

#include "env_state.h"

namespace ferry {

class Connect;

struct VirtData final : AddonData {
  ~VirtData() override;

  // The environment must be alive, which it is wherever JavaScript runs.
  static VirtData& Of(Napi::Env env) { return *static_cast<VirtData*>(EnvState::Of(env)->data()); }

  Napi::FunctionReference error_class;
  Napi::FunctionReference connect_class;
  Napi::FunctionReference domain_class;
  Napi::FunctionReference storage_pool_class;
  std::set<Connect*> open_connects;
};

}  // namespace ferry
