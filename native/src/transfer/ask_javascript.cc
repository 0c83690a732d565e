#include "ask_javascript.h"

#include <future>

#include "transfer_failure.h"

namespace ferry {

namespace {

// Ends the wait when it is answered, and also when nobody will ever answer because the environment has gone.
using Answer = std::shared_ptr<std::promise<void>>;

void Await(std::future<void> answered) {
  try {
    answered.get();
  } catch (const std::future_error&) {
    throw StoppedFailure();
  }
}

}  // namespace

JavaScriptFunction::JavaScriptFunction(Napi::Function function)
    : state_(EnvState::Of(function.Env())), listener_(state_->KeepListener(function)) {}

JavaScriptFunction::~JavaScriptFunction() {
  state_->Deliver([state = state_, listener = listener_](Napi::Env) { state->DropListener(listener); });
}

void JavaScriptFunction::Ask(std::function<Napi::Value(Napi::Env)> prepare,
                             std::function<void(Napi::Value)> read) const {
  Answer answer = std::make_shared<std::promise<void>>();
  std::future<void> answered = answer->get_future();
  state_->Deliver([answer = std::move(answer), state = state_, listener = listener_, prepare, read](Napi::Env env) {
    const Napi::Value argument = prepare(env);
    state->CallListener(listener, env, argument);
    read(argument);
    answer->set_value();
  });
  Await(std::move(answered));
}

void JavaScriptFunction::AskUntilDone(std::function<Napi::Object(Napi::Env)> prepare) const {
  Answer answer = std::make_shared<std::promise<void>>();
  std::future<void> answered = answer->get_future();
  state_->Deliver([answer = std::move(answer), state = state_, listener = listener_, prepare](Napi::Env env) {
    const Napi::Object argument = prepare(env);
    argument.Set("done", Napi::Function::New(env, [answer](const Napi::CallbackInfo&) { answer->set_value(); }));
    state->CallListener(listener, env, argument);
  });
  Await(std::move(answered));
}

}  // namespace ferry
