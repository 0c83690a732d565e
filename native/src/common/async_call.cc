#include "async_call.h"

namespace ferry {

void Call::Run() noexcept {
  try {
    Work();
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Call::Settle(Napi::Env env) {
  if (!failure_) {
    try {
      const Napi::Value value = Result(env);
      napi_resolve_deferred(env, deferred_, value);
      return;
    } catch (const Napi::Error& error) {
      napi_reject_deferred(env, deferred_, error.Value());
      return;
    }
  }
  napi_reject_deferred(env, deferred_, Reason(env));
}

Napi::Value Call::Reason(Napi::Env env) const {
  try {
    std::rethrow_exception(failure_);
  } catch (const Failure& failure) {
    return failure.ToJs(env);
  } catch (const std::exception& other) {
    return Napi::Error::New(env, other.what()).Value();
  }
}

Napi::Value StartCall(Napi::Env env, Lane lane, std::shared_ptr<Call> call) {
  const Napi::Value promise(env, call->Begin(env));
  auto state = EnvState::Of(env);
  state->CallStarted();
  WorkerPool::Get().Post(lane, [state, call = std::move(call)] {
    call->Run();
    state->Deliver([state, call](Napi::Env e) {
      state->CallEnded();
      call->Settle(e);
    });
  });
  return promise;
}

}  // namespace ferry
