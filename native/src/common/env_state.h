// What an addon keeps for one JavaScript environment (the main thread, or one worker_thread), and the only way
// back into it from other threads.
//
// `Deliver` may be called from any thread at any time, also when the environment is gone: then it drops what it
// was given. Nothing that is delivered may own napi references; those live here, are touched on the JavaScript
// thread only, and are let go by the cleanup hook before the environment dies.
#pragma once

#include <napi.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace ferry {

// References and registries of one addon; destroyed on the JavaScript thread when the environment ends.
struct AddonData {
  virtual ~AddonData() = default;
};

class EnvState : public std::enable_shared_from_this<EnvState> {
 public:
  using Delivery = std::function<void(Napi::Env)>;
  using ListenerId = std::uint64_t;

  static void Install(Napi::Env env, std::unique_ptr<AddonData> data);
  static std::shared_ptr<EnvState> Of(Napi::Env env);

  // Any thread: run on the JavaScript thread, in the order given.
  void Deliver(Delivery delivery);

  // JavaScript thread. While a call is pending the environment's event loop stays alive.
  void CallStarted();
  void CallEnded();

  // JavaScript thread. Null once the environment is ending.
  AddonData* data() const { return data_.get(); }

  // JavaScript thread: functions that other threads know by number only.
  ListenerId KeepListener(Napi::Function function);
  void CallListener(ListenerId id, Napi::Env env, Napi::Value argument);
  void DropListener(ListenerId id) { listeners_.erase(id); }

 private:
  static void OnReady(napi_env env, napi_value, void* context, void*);
  static void OnEnvEnding(void* argument);
  void Drain(Napi::Env env);
  void End();

  napi_env env_ = nullptr;
  napi_threadsafe_function wake_ = nullptr;
  std::unique_ptr<AddonData> data_;
  std::map<ListenerId, Napi::FunctionReference> listeners_;
  ListenerId next_listener_ = 1;
  int pending_calls_ = 0;

  std::mutex mutex_;  // guards what follows
  std::deque<Delivery> ready_;
  bool wake_scheduled_ = false;
  bool ended_ = false;
};

}  // namespace ferry
