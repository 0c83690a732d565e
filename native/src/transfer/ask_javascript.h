// A question of a worker to a JavaScript function, on which the worker waits. For tests only: a transfer never waits for
// JavaScript by itself.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "env_state.h"

namespace ferry {

// A function that is kept for as long as this lives.
class JavaScriptFunction {
 public:
  explicit JavaScriptFunction(Napi::Function function);
  ~JavaScriptFunction();
  JavaScriptFunction(const JavaScriptFunction&) = delete;
  JavaScriptFunction& operator=(const JavaScriptFunction&) = delete;

  // Worker: calls it with what `prepare` makes, then runs `read` on the same value; returns when that is done.
  void Ask(std::function<Napi::Value(Napi::Env)> prepare, std::function<void(Napi::Value)> read) const;
  // Worker: the same for a function that ends when it calls the `done` that its argument gets.
  void AskUntilDone(std::function<Napi::Object(Napi::Env)> prepare) const;

 private:
  std::shared_ptr<EnvState> state_;
  EnvState::ListenerId listener_;
};

}  // namespace ferry
