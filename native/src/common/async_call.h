// The one way out of the JavaScript thread: run `work` on the pool, settle a promise with what came of it.
//
//   AsyncCall(env, Lane::kFast, [handle] { return Ask(handle); }, [](Napi::Env env, Answer& answer) { … });
//
// `work` runs on a worker, owns plain data and shared handles only, and throws a Failure to reject. `convert`
// runs on the JavaScript thread and makes the value; calls that have nothing to answer leave it out.
#pragma once

#include <napi.h>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "env_state.h"
#include "failure.h"
#include "worker_pool.h"

namespace ferry {

class Call {
 public:
  virtual ~Call() = default;
  void Run() noexcept;             // worker
  void Settle(Napi::Env env);      // JavaScript thread
  napi_value Begin(Napi::Env env)  // JavaScript thread: the promise
  {
    napi_value promise = nullptr;
    napi_create_promise(env, &deferred_, &promise);
    return promise;
  }

 private:
  virtual void Work() = 0;
  virtual Napi::Value Result(Napi::Env env) = 0;
  Napi::Value Reason(Napi::Env env) const;

  napi_deferred deferred_ = nullptr;
  std::exception_ptr failure_;
};

Napi::Value StartCall(Napi::Env env, Lane lane, std::shared_ptr<Call> call);

template <class WorkFn, class ConvertFn>
class CallOf final : public Call {
 public:
  CallOf(WorkFn work, ConvertFn convert) : work_(std::move(work)), convert_(std::move(convert)) {}

 private:
  void Work() override { result_.emplace(work_()); }
  Napi::Value Result(Napi::Env env) override { return convert_(env, *result_); }

  WorkFn work_;
  ConvertFn convert_;
  std::optional<decltype(std::declval<WorkFn>()())> result_;
};

template <class WorkFn, class ConvertFn>
Napi::Value AsyncCall(Napi::Env env, Lane lane, WorkFn work, ConvertFn convert) {
  using Made = CallOf<WorkFn, ConvertFn>;
  return StartCall(env, lane, std::make_shared<Made>(std::move(work), std::move(convert)));
}

template <class WorkFn>
Napi::Value AsyncCall(Napi::Env env, Lane lane, WorkFn work) {
  auto answer_nothing = [work = std::move(work)] {
    work();
    return 0;
  };
  return AsyncCall(env, lane, std::move(answer_nothing), [](Napi::Env e, int&) { return e.Undefined(); });
}

}  // namespace ferry
