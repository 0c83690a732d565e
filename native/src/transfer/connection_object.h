// A connection as JavaScript sees it: `new Connection(authority, certificate, key)`, then `dial`; or from a listener.
#pragma once

#include <napi.h>

#include <memory>

#include "connection.h"
#include "target_connection.h"

namespace ferry {

class ConnectionObject final : public Napi::ObjectWrap<ConnectionObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  // The object of a connection that was accepted.
  static Napi::Object Of(Napi::Env env, std::shared_ptr<Connection> connection);
  explicit ConnectionObject(const Napi::CallbackInfo& info);
  ~ConnectionObject() override;

 private:
  using Info = const Napi::CallbackInfo&;

  Napi::Value Dial(Info info);
  Napi::Value PeerCertificate(Info info);
  Napi::Value ChannelBinding(Info info);
  void AllowCompression(Info info);
  void SetTaps(Info info);
  Napi::Value Send(Info info);
  Napi::Value Receive(Info info);
  Napi::Value ServeParts(Info info);
  Napi::Value SendSegments(Info info);
  Napi::Value Ping(Info info);
  Napi::Value Refuse(Info info);
  Napi::Value Finish(Info info);
  void Sever(Info info);
  Napi::Value SentBytes(Info info);
  Napi::Value ReceivedBytes(Info info);
  Napi::Value SilentMs(Info info);
  Napi::Value SentAgoMs(Info info);

  std::shared_ptr<Connection> connection_;
  std::shared_ptr<TargetConnection> target_;
};

}  // namespace ferry
