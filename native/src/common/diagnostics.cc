#include "diagnostics.h"

#include <chrono>
#include <thread>

#include "arguments.h"
#include "async_call.h"
#include "worker_pool.h"

#ifdef __SANITIZE_ADDRESS__
extern "C" int __lsan_do_recoverable_leak_check();
#endif

namespace ferry {

namespace {

Napi::Object LaneToJs(Napi::Env env, Lane lane) {
  const WorkerPool::LaneStats stats = WorkerPool::Get().Stats(lane);
  Napi::Object object = Napi::Object::New(env);
  object.Set("threads", static_cast<double>(stats.threads));
  object.Set("idle", static_cast<double>(stats.idle));
  object.Set("queued", static_cast<double>(stats.queued));
  return object;
}

Napi::Value PoolStats(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("fast", LaneToJs(info.Env(), Lane::kFast));
  object.Set("slow", LaneToJs(info.Env(), Lane::kSlow));
  return object;
}

Napi::Value Block(const Napi::CallbackInfo& info) {
  const std::chrono::milliseconds duration(IntArgument(info, 0));
  return AsyncCall(info.Env(), Lane::kSlow, [duration] { std::this_thread::sleep_for(duration); });
}

#ifdef __SANITIZE_ADDRESS__
Napi::Value LeakCheck(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), __lsan_do_recoverable_leak_check() == 0);
}
#endif

}  // namespace

void AddDiagnostics(Napi::Env env, Napi::Object exports) {
  exports.Set("poolStats", Napi::Function::New<PoolStats>(env, "poolStats"));
  exports.Set("block", Napi::Function::New<Block>(env, "block"));
#ifdef __SANITIZE_ADDRESS__
  exports.Set("leakCheck", Napi::Function::New<LeakCheck>(env, "leakCheck"));
#endif
}

}  // namespace ferry
