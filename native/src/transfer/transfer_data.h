// What the transfer addon keeps per environment: the classes whose objects it recognises among its arguments.
#pragma once

#include <napi.h>

#include "env_state.h"

namespace ferry {

struct TransferData final : AddonData {
  // The environment must be alive, which it is wherever JavaScript runs.
  static TransferData& Of(Napi::Env env) { return *static_cast<TransferData*>(EnvState::Of(env)->data()); }

  Napi::FunctionReference connection_class;
  Napi::FunctionReference listener_class;
  Napi::FunctionReference part_class;
  Napi::FunctionReference part_table_class;
  Napi::FunctionReference queue_class;
  Napi::FunctionReference token_bucket_class;
  Napi::FunctionReference tree_class;
};

// The native half of an argument that must be an object of this class.
template <class Wrapped>
Wrapped& ObjectOf(Napi::Value value, Napi::FunctionReference TransferData::* which) {
  const Napi::Env env = value.Env();
  const Napi::Function expected = (TransferData::Of(env).*which).Value();
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(expected)) {
    throw Napi::TypeError::New(env, "an argument is not an object of the class that belongs there");
  }
  return *Napi::ObjectWrap<Wrapped>::Unwrap(value.As<Napi::Object>());
}

}  // namespace ferry
