// The data port: `new Listener(onConnection, onRefused)`, then `listen`. Connections are handed over after their
// handshake, which happens on a worker.
#pragma once

#include <napi.h>

#include <memory>

#include "listener.h"

namespace ferry {

class ListenerObject final : public Napi::ObjectWrap<ListenerObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit ListenerObject(const Napi::CallbackInfo& info);
  ~ListenerObject() override;

 private:
  using Info = const Napi::CallbackInfo&;

  Napi::Value Listen(Info info);
  void SetTls(Info info);
  void Close(Info info);

  std::shared_ptr<Listener> listener_;
  bool keeps_alive_ = false;  // the event loop, as Node's own servers do
};

// PEM texts as three arguments from `index` on.
TlsContext TlsContextArguments(const Napi::CallbackInfo& info, std::size_t index);

}  // namespace ferry
