#include "connection_object.h"

#include <string.h>

#include <optional>
#include <utility>

#include "arguments.h"
#include "ask_javascript.h"
#include "async_call.h"
#include "listener_object.h"
#include "queue_objects.h"
#include "part_objects.h"
#include "source_connection.h"
#include "transfer_data.h"

namespace ferry {

namespace {

using Bytes = std::vector<std::uint8_t>;

struct ReceivedFrame {
  FrameHeader header;
  Bytes payload;
};

Napi::Buffer<std::uint8_t> BufferOf(Napi::Env env, const std::uint8_t* bytes, std::size_t length) {
  return Napi::Buffer<std::uint8_t>::Copy(env, bytes, length);
}

Napi::Object FrameToJs(Napi::Env env, const FrameHeader& header, const std::uint8_t* payload) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("type", static_cast<double>(header.type));
  object.Set("flags", static_cast<double>(header.flags));
  object.Set("file", static_cast<double>(header.file));
  object.Set("offset", static_cast<double>(header.offset));
  object.Set("digest", BufferOf(env, header.digest.data(), kDigestBytes));
  object.Set("payload", BufferOf(env, payload, header.length));
  return object;
}

FrameTap TapOf(Napi::Value value) {
  if (!value.IsFunction()) return nullptr;
  auto function = std::make_shared<JavaScriptFunction>(value.As<Napi::Function>());
  return [function](const FrameHeader& header, std::uint8_t* payload) {
    function->Ask([&](Napi::Env env) { return FrameToJs(env, header, payload); },
                  [&](Napi::Value frame) {
                    const auto changed = frame.As<Napi::Object>().Get("payload").As<Napi::Buffer<std::uint8_t>>();
                    if (changed.Length() == header.length) memcpy(payload, changed.Data(), header.length);
                  });
  };
}

Bytes BytesOf(Napi::Uint8Array array) { return {array.Data(), array.Data() + array.ByteLength()}; }

FrameHeader HeaderArguments(const Napi::CallbackInfo& info) {
  FrameHeader header;
  header.type = static_cast<FrameType>(IntArgument(info, 0));
  header.flags = static_cast<std::uint8_t>(IntArgument(info, 1));
  header.file = static_cast<std::uint16_t>(IntArgument(info, 2));
  header.offset = BytesArgument(info, 3);
  const Napi::Uint8Array digest = Uint8ArrayArgument(info, 4);
  if (digest.ByteLength() != kDigestBytes) throw Napi::RangeError::New(info.Env(), "a digest has 32 bytes");
  memcpy(header.digest.data(), digest.Data(), kDigestBytes);
  return header;
}

Napi::Value ReceivedToJs(Napi::Env env, std::optional<ReceivedFrame>& received) {
  if (!received) return env.Undefined();
  return FrameToJs(env, received->header, received->payload.data());
}

std::optional<ReceivedFrame> CopyOf(const Frame& frame) {
  return ReceivedFrame{frame.header, {frame.payload, frame.payload + frame.header.length}};
}

Compression CompressionArgument(const Napi::CallbackInfo& info, std::size_t index) {
  const std::string policy = StringArgument(info, index);
  if (policy != "off" && !HasZstd()) throw Napi::RangeError::New(info.Env(), "this build cannot compress");
  if (policy == "off") return Compression::kOff;
  if (policy == "auto") return Compression::kAuto;
  if (policy == "zstd") return Compression::kAlways;
  throw Napi::RangeError::New(info.Env(), "no such way to compress");
}

std::vector<std::shared_ptr<TokenBucket>> BucketsArgument(const Napi::CallbackInfo& info, std::size_t index) {
  const Napi::Array given = info[index].As<Napi::Array>();
  std::vector<std::shared_ptr<TokenBucket>> buckets;
  for (std::uint32_t at = 0; at < given.Length(); at++) {
    buckets.push_back(ObjectOf<TokenBucketObject>(given.Get(at), &TransferData::token_bucket_class).bucket());
  }
  return buckets;
}

}  // namespace

Napi::Function ConnectionObject::Define(Napi::Env env) {
  using Self = ConnectionObject;
  return DefineClass(
      env, "Connection",
      {InstanceMethod<&Self::Dial>("dial"), InstanceMethod<&Self::PeerCertificate>("peerCertificate"),
       InstanceMethod<&Self::ChannelBinding>("channelBinding"), InstanceMethod<&Self::SetTaps>("setTaps"),
       InstanceMethod<&Self::AllowCompression>("allowCompression"),
       InstanceMethod<&Self::Send>("send"), InstanceMethod<&Self::Receive>("receive"),
       InstanceMethod<&Self::ServeParts>("serveParts"), InstanceMethod<&Self::SendSegments>("sendSegments"),
       InstanceMethod<&Self::Ping>("ping"), InstanceMethod<&Self::Refuse>("refuse"),
       InstanceMethod<&Self::Finish>("finish"), InstanceMethod<&Self::Sever>("sever"),
       InstanceAccessor<&Self::SentBytes>("sentBytes"), InstanceAccessor<&Self::ReceivedBytes>("receivedBytes"),
       InstanceAccessor<&Self::SilentMs>("silentMs"), InstanceAccessor<&Self::SentAgoMs>("sentAgoMs")});
}

Napi::Object ConnectionObject::Of(Napi::Env env, std::shared_ptr<Connection> connection) {
  auto* handed = new std::shared_ptr<Connection>(std::move(connection));
  const auto external = Napi::External<std::shared_ptr<Connection>>::New(env, handed);
  return TransferData::Of(env).connection_class.New({external});
}

ConnectionObject::ConnectionObject(Info info) : Napi::ObjectWrap<ConnectionObject>(info) {
  if (info[0].IsExternal()) {
    const std::unique_ptr<std::shared_ptr<Connection>> handed(
        info[0].As<Napi::External<std::shared_ptr<Connection>>>().Data());
    connection_ = *handed;
    return;
  }
  connection_ = std::make_shared<Connection>(TlsContextArguments(info, 0));
}

ConnectionObject::~ConnectionObject() { connection_->Sever(); }

Napi::Value ConnectionObject::Dial(Info info) {
  auto work = [connection = connection_, host = StringArgument(info, 0), port = IntArgument(info, 1),
               timeout = std::chrono::milliseconds(IntArgument(info, 2))] {
    connection->Dial(host, static_cast<std::uint16_t>(port), timeout);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value ConnectionObject::PeerCertificate(Info info) {
  auto work = [connection = connection_] { return connection->stream().session().peer_certificate; };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work),
                   [](Napi::Env env, Bytes& bytes) { return BufferOf(env, bytes.data(), bytes.size()); });
}

Napi::Value ConnectionObject::ChannelBinding(Info info) {
  auto work = [connection = connection_] { return connection->stream().session().channel_binding; };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work),
                   [](Napi::Env env, Bytes& bytes) { return BufferOf(env, bytes.data(), bytes.size()); });
}

void ConnectionObject::AllowCompression(Info info) {
  if (!HasZstd()) throw Napi::RangeError::New(info.Env(), "this build cannot expand");
  connection_->AllowCompression();
}

void ConnectionObject::SetTaps(Info info) { connection_->SetTaps(TapOf(info[0]), TapOf(info[1])); }

Napi::Value ConnectionObject::Send(Info info) {
  const Napi::Uint8Array payload = Uint8ArrayArgument(info, 5);
  if (payload.ByteLength() > kMaxPayloadBytes) throw Napi::RangeError::New(info.Env(), "a payload is too long");
  auto work = [connection = connection_, header = HeaderArguments(info), bytes = BytesOf(payload)] {
    connection->ThrowIfStopped();
    Bytes changeable = bytes;
    connection->Send(header, changeable.data(), changeable.size());
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value ConnectionObject::Receive(Info info) {
  auto work = [connection = connection_]() -> std::optional<ReceivedFrame> {
    Frame frame;
    if (!connection->Receive(frame)) return std::nullopt;
    return CopyOf(frame);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), ReceivedToJs);
}

Napi::Value ConnectionObject::ServeParts(Info info) {
  auto parts = ObjectOf<PartTableObject>(info[0], &TransferData::part_table_class).table();
  if (!target_) target_ = std::make_shared<TargetConnection>(connection_, std::move(parts));
  auto work = [target = target_]() -> std::optional<ReceivedFrame> {
    Frame frame;
    if (!target->Receive(frame)) return std::nullopt;
    return CopyOf(frame);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), ReceivedToJs);
}

Napi::Value ConnectionObject::SendSegments(Info info) {
  auto queue = ObjectOf<QueueObject>(info[0], &TransferData::queue_class).queue();
  auto work = [connection = connection_, queue = std::move(queue), limits = BucketsArgument(info, 1),
               compression = CompressionArgument(info, 2)] {
    SourceConnection(*connection, queue->algorithm, limits, compression).Run(*queue);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value ConnectionObject::Ping(Info info) {
  return AsyncCall(info.Env(), Lane::kSlow, [connection = connection_] { connection->Ping(); });
}

Napi::Value ConnectionObject::Refuse(Info info) {
  auto work = [connection = connection_, error = BytesOf(Uint8ArrayArgument(info, 0)),
               linger = std::chrono::milliseconds(IntArgument(info, 1))] {
    connection->Refuse({error.begin(), error.end()}, linger);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value ConnectionObject::Finish(Info info) {
  return AsyncCall(info.Env(), Lane::kSlow, [connection = connection_] { connection->Finish(); });
}

void ConnectionObject::Sever(Info) { connection_->Sever(); }

Napi::Value ConnectionObject::SentBytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(connection_->sent_bytes()));
}

Napi::Value ConnectionObject::ReceivedBytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(connection_->received_bytes()));
}

Napi::Value ConnectionObject::SilentMs(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(connection_->stream().socket().SilentFor().count()));
}

Napi::Value ConnectionObject::SentAgoMs(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(connection_->SentAgo().count()));
}

}  // namespace ferry
