#include "env_state.h"

#include <utility>

namespace ferry {

using EnvStateRef = std::shared_ptr<EnvState>;

void EnvState::Install(Napi::Env env, std::unique_ptr<AddonData> data) {
  auto state = std::make_shared<EnvState>();
  state->env_ = env;
  state->data_ = std::move(data);
  env.SetInstanceData<EnvStateRef>(new EnvStateRef(state));

  napi_create_threadsafe_function(
      env, nullptr, nullptr, Napi::String::New(env, "ferry"), 0, 1, nullptr,
      [](napi_env, void*, void* context) { delete static_cast<EnvStateRef*>(context); },
      new EnvStateRef(state), OnReady, &state->wake_);
  napi_unref_threadsafe_function(env, state->wake_);
  // Hooks run last-in first-out: ours ends deliveries before the thread-safe function's own hook destroys it.
  napi_add_env_cleanup_hook(env, OnEnvEnding, new EnvStateRef(state));
}

EnvStateRef EnvState::Of(Napi::Env env) { return *env.GetInstanceData<EnvStateRef>(); }

void EnvState::Deliver(Delivery delivery) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (ended_) return;
  ready_.push_back(std::move(delivery));
  if (wake_scheduled_) return;
  wake_scheduled_ = true;
  napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void EnvState::OnReady(napi_env env, napi_value, void* context, void*) {
  // At teardown Node calls with a null env, possibly after the finalizer has freed the context: look at it first.
  if (env == nullptr) return;
  const EnvStateRef self = *static_cast<EnvStateRef*>(context);
  self->Drain(env);
}

void EnvState::Drain(Napi::Env env) {
  std::deque<Delivery> ready;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    ready.swap(ready_);
    wake_scheduled_ = false;
  }
  for (Delivery& delivery : ready) {
    try {
      Napi::HandleScope scope(env);
      delivery(env);
    } catch (const Napi::Error&) {
      // Only an environment that is being terminated refuses; what is left is dropped with it.
    }
  }
}

void EnvState::CallStarted() {
  if (pending_calls_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void EnvState::CallEnded() {
  if (--pending_calls_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

EnvState::ListenerId EnvState::KeepListener(Napi::Function function) {
  const ListenerId id = next_listener_++;
  listeners_.emplace(id, Napi::Persistent(function));
  return id;
}

void EnvState::CallListener(ListenerId id, Napi::Env env, Napi::Value argument) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  try {
    found->second.Value().Call({argument});
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());  // an exception of a listener is a bug like any uncaught one
  }
}

void EnvState::OnEnvEnding(void* argument) {
  const std::unique_ptr<EnvStateRef> self(static_cast<EnvStateRef*>(argument));
  (*self)->End();
}

void EnvState::End() {
  std::deque<Delivery> dropped;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    ended_ = true;
    dropped.swap(ready_);
  }
  dropped.clear();  // outside the lock: destructors call back into us
  listeners_.clear();
  data_.reset();
}

}  // namespace ferry
