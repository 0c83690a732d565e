#include "typed_params.h"

#include <optional>

namespace ferry {

namespace {

std::optional<TypedValue> ReadValue(const virTypedParameter& param) {
  switch (param.type) {
    case VIR_TYPED_PARAM_INT:
      return param.value.i;
    case VIR_TYPED_PARAM_UINT:
      return param.value.ui;
    case VIR_TYPED_PARAM_LLONG:
      return param.value.l;
    case VIR_TYPED_PARAM_ULLONG:
      return param.value.ul;
    case VIR_TYPED_PARAM_DOUBLE:
      return param.value.d;
    case VIR_TYPED_PARAM_BOOLEAN:
      return param.value.b != 0;
    case VIR_TYPED_PARAM_STRING:
      return std::string(param.value.s != nullptr ? param.value.s : "");
    default:
      return std::nullopt;  // a type of a newer libvirt
  }
}

struct ToJs {
  Napi::Env env;
  Napi::Value operator()(long long value) const { return Napi::BigInt::New(env, static_cast<std::int64_t>(value)); }
  Napi::Value operator()(unsigned long long value) const { return BigIntOf(env, value); }
  Napi::Value operator()(int value) const { return Napi::Number::New(env, value); }
  Napi::Value operator()(unsigned value) const { return Napi::Number::New(env, value); }
  Napi::Value operator()(double value) const { return Napi::Number::New(env, value); }
  Napi::Value operator()(bool value) const { return Napi::Boolean::New(env, value); }
  Napi::Value operator()(const std::string& value) const { return Napi::String::New(env, value); }
};

}  // namespace

TypedParams ReadTypedParams(const virTypedParameter* params, int count) {
  TypedParams read;
  read.reserve(count);
  for (int i = 0; i < count; i++) {
    if (auto value = ReadValue(params[i])) read.emplace_back(params[i].field, std::move(*value));
  }
  return read;
}

Napi::Object TypedParamsToJs(Napi::Env env, const TypedParams& params) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, value] : params) object.Set(name, std::visit(ToJs{env}, value));
  return object;
}

}  // namespace ferry
