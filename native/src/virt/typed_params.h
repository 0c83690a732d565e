// libvirt's typed parameters as a plain JavaScript object. 64-bit numbers are BigInt, always.
#pragma once

#include <libvirt/libvirt.h>
#include <napi.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ferry {

using TypedValue = std::variant<int, unsigned, long long, unsigned long long, double, bool, std::string>;
using TypedParams = std::vector<std::pair<std::string, TypedValue>>;

// Worker: copies, frees nothing.
TypedParams ReadTypedParams(const virTypedParameter* params, int count);
// JavaScript thread.
Napi::Object TypedParamsToJs(Napi::Env env, const TypedParams& params);

inline Napi::BigInt BigIntOf(Napi::Env env, unsigned long long value) {
  return Napi::BigInt::New(env, static_cast<std::uint64_t>(value));
}

}  // namespace ferry
