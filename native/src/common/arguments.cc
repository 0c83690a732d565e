#include "arguments.h"

#include <cmath>

namespace ferry {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

[[noreturn]] void Refuse(const Napi::CallbackInfo& info, std::size_t index, const char* expected) {
  throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + " must be " + expected);
}

double IntegerArgument(const Napi::CallbackInfo& info, std::size_t index, double low, double high,
                       const char* expected) {
  if (!info[index].IsNumber()) Refuse(info, index, expected);
  const double value = info[index].As<Napi::Number>().DoubleValue();
  if (std::trunc(value) != value || value < low || value > high) Refuse(info, index, expected);
  return value;
}

}  // namespace

std::string StringArgument(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsString()) Refuse(info, index, "a string");
  std::string text = info[index].As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) Refuse(info, index, "a string without NUL bytes");
  return text;
}

std::optional<std::string> OptionalStringArgument(const Napi::CallbackInfo& info, std::size_t index) {
  if (info[index].IsUndefined() || info[index].IsNull()) return std::nullopt;
  return StringArgument(info, index);
}

std::int32_t IntArgument(const Napi::CallbackInfo& info, std::size_t index) {
  return static_cast<std::int32_t>(IntegerArgument(info, index, INT32_MIN, INT32_MAX, "a 32-bit integer"));
}

std::uint32_t FlagsArgument(const Napi::CallbackInfo& info, std::size_t index) {
  return static_cast<std::uint32_t>(IntegerArgument(info, index, 0, UINT32_MAX, "an unsigned 32-bit integer"));
}

std::int64_t BytesArgument(const Napi::CallbackInfo& info, std::size_t index) {
  constexpr const char* kExpected = "a non-negative number of bytes";
  if (!info[index].IsBigInt()) {
    return static_cast<std::int64_t>(IntegerArgument(info, index, 0, kMaxSafeInteger, kExpected));
  }
  bool lossless = false;
  const std::int64_t value = info[index].As<Napi::BigInt>().Int64Value(&lossless);
  if (!lossless || value < 0) Refuse(info, index, kExpected);
  return value;
}

bool BooleanArgument(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsBoolean()) Refuse(info, index, "a boolean");
  return info[index].As<Napi::Boolean>().Value();
}

Napi::Uint8Array Uint8ArrayArgument(const Napi::CallbackInfo& info, std::size_t index) {
  const bool fits =
      info[index].IsTypedArray() && info[index].As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
  if (!fits) Refuse(info, index, "a Uint8Array");
  return info[index].As<Napi::Uint8Array>();
}

Napi::Function FunctionArgument(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsFunction()) Refuse(info, index, "a function");
  return info[index].As<Napi::Function>();
}

}  // namespace ferry
