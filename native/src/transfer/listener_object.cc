#include "listener_object.h"

#include "arguments.h"
#include "async_call.h"
#include "connection_object.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

Napi::Value ReasonOf(Napi::Env env, const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Failure& failure) {
    return failure.ToJs(env);
  } catch (const std::exception& other) {
    return Napi::Error::New(env, other.what()).Value();
  }
}

}  // namespace

TlsContext TlsContextArguments(const Napi::CallbackInfo& info, std::size_t index) {
  try {
    return MakeTlsContext(
        {StringArgument(info, index), StringArgument(info, index + 1), StringArgument(info, index + 2)});
  } catch (const Failure& failure) {
    throw Napi::Error(info.Env(), failure.ToJs(info.Env()));
  }
}

Napi::Function ListenerObject::Define(Napi::Env env) {
  return DefineClass(
      env, "Listener",
      {InstanceMethod<&ListenerObject::Listen>("listen"), InstanceMethod<&ListenerObject::SetTls>("setTls"),
       InstanceMethod<&ListenerObject::Close>("close")});
}

ListenerObject::ListenerObject(Info info) : Napi::ObjectWrap<ListenerObject>(info) {
  auto state = EnvState::Of(info.Env());
  const auto on_connection = state->KeepListener(FunctionArgument(info, 0));
  const auto on_refused = state->KeepListener(FunctionArgument(info, 1));
  listener_ = std::make_shared<Listener>(
      [state, on_connection](std::shared_ptr<Connection> connection) {
        state->Deliver([state, on_connection, connection](Napi::Env env) {
          state->CallListener(on_connection, env, ConnectionObject::Of(env, connection));
        });
      },
      [state, on_refused](std::exception_ptr failure) {
        state->Deliver([state, on_refused, failure](Napi::Env env) {
          state->CallListener(on_refused, env, ReasonOf(env, failure));
        });
      });
}

ListenerObject::~ListenerObject() { listener_->Close(); }

Napi::Value ListenerObject::Listen(Info info) {
  const Listener::Limits limits{IntArgument(info, 2), std::chrono::milliseconds(IntArgument(info, 3))};
  auto work = [listener = listener_, host = StringArgument(info, 0), port = IntArgument(info, 1), limits,
               context = TlsContextArguments(info, 4)] {
    return static_cast<int>(listener->Listen(host, static_cast<std::uint16_t>(port), limits, context));
  };
  if (!keeps_alive_) EnvState::Of(info.Env())->CallStarted();
  keeps_alive_ = true;
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work),
                   [](Napi::Env env, int& port) { return Napi::Number::New(env, port); });
}

void ListenerObject::SetTls(Info info) { listener_->SetTls(TlsContextArguments(info, 0)); }

void ListenerObject::Close(Info info) {
  listener_->Close();
  if (keeps_alive_) EnvState::Of(info.Env())->CallEnded();
  keeps_alive_ = false;
}

}  // namespace ferry
