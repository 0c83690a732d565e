#include "transfer_failure.h"

namespace ferry {

Napi::Value TransferFailure::ToJs(Napi::Env env) const {
  const Napi::Object error = Napi::Error::New(env, message_).Value();
  error.Set("code", code_);
  AddTo(env, error);
  return error;
}

void PeerFailure::AddTo(Napi::Env env, Napi::Object error) const {
  error.Set("payload", Napi::Buffer<std::uint8_t>::Copy(env, payload_.data(), payload_.size()));
}

void CorruptFailure::AddTo(Napi::Env, Napi::Object error) const {
  error.Set("file", file_);
  error.Set("offset", static_cast<double>(offset_));
  error.Set("leaves", static_cast<double>(leaves_));
}

Napi::Value DiskFailure::ToJs(Napi::Env env) const {
  const Napi::Object error = cause_.ToJs(env).As<Napi::Object>();
  error.Set("file", file_);
  error.Set("offset", static_cast<double>(offset_));
  error.Set("length", static_cast<double>(length_));
  return error;
}

}  // namespace ferry
