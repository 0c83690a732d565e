// The transfer addon: digest trees, and disk data from host to host. Needs nothing but the kernel and Node's own OpenSSL.
#include <napi.h>

#include "arguments.h"
#include "connection_object.h"
#include "diagnostics.h"
#include "leaf_zstd.h"
#include "listener_object.h"
#include "openssl_use.h"
#include "part_objects.h"
#include "queue_objects.h"
#include "transfer_data.h"
#include "transfer_failure.h"
#include "tree_object.h"
#include "worker_pool.h"

namespace ferry {

namespace {

// A connection is served by one thread, and has up to two more for what is to be read back; a part that is written to has one.
constexpr std::size_t kThreads = 1024;

Napi::Array AlgorithmNames(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env);
  for (const Algorithm algorithm : Algorithms()) names.Set(names.Length(), NameOf(algorithm));
  return names;
}

Napi::Array CompressionNames(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env);
  if (HasZstd()) names.Set(std::uint32_t{0}, "zstd");
  return names;
}

// For the tests of the parser: throws what it says about a header that is not one.
Napi::Value CheckHeader(const Napi::CallbackInfo& info) {
  const Napi::Uint8Array bytes = Uint8ArrayArgument(info, 0);
  if (bytes.ByteLength() != kHeaderBytes) throw Napi::RangeError::New(info.Env(), "a header has 60 bytes");
  try {
    return Napi::Number::New(info.Env(), static_cast<double>(DecodeHeader(bytes.Data()).length));
  } catch (const Failure& failure) {
    throw Napi::Error(info.Env(), failure.ToJs(info.Env()));
  }
}

template <class Object>
void AddClass(Napi::Env env, Napi::Object exports, const char* name, Napi::FunctionReference& reference) {
  reference = Napi::Persistent(Object::Define(env));
  exports.Set(name, reference.Value());
}

Napi::Object Load(Napi::Env env, Napi::Object exports) {
  GuardOpenSslAtExit();
  WorkerPool::Get().SetLimit(Lane::kSlow, kThreads);
  auto owned = std::make_unique<TransferData>();
  TransferData& data = *owned;
  EnvState::Install(env, std::move(owned));
  exports.Set("algorithms", AlgorithmNames(env));
  exports.Set("compressions", CompressionNames(env));
  AddClass<TreeObject>(env, exports, "DigestTree", data.tree_class);
  AddClass<ConnectionObject>(env, exports, "Connection", data.connection_class);
  AddClass<ListenerObject>(env, exports, "Listener", data.listener_class);
  AddClass<QueueObject>(env, exports, "SegmentQueue", data.queue_class);
  AddClass<TokenBucketObject>(env, exports, "TokenBucket", data.token_bucket_class);
  AddClass<PartObject>(env, exports, "Part", data.part_class);
  AddClass<PartTableObject>(env, exports, "PartTable", data.part_table_class);
  exports.Set("checkHeader", Napi::Function::New<CheckHeader>(env, "checkHeader"));
  AddDiagnostics(env, exports);
  return exports;
}

}  // namespace

}  // namespace ferry

using ferry::Load;  // the macro takes a plain name only
NODE_API_MODULE(transfer, Load)
