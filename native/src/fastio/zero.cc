#include "arguments.h"
#include "file_calls.h"
#include "zero_scan.h"

namespace ferry {

Napi::Value IsZero(Info info) {
  const Napi::Uint8Array bytes = Uint8ArrayArgument(info, 0);
  return Napi::Boolean::New(info.Env(), AllZero(bytes.Data(), bytes.ByteLength()));
}

}  // namespace ferry
