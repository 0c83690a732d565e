#include "failure.h"

#include <string.h>

#include <utility>

namespace ferry {

namespace {

std::string Message(const char* name, const char* meaning, const std::string& syscall, const std::string& path) {
  std::string message = std::string(name) + ": " + meaning + ", " + syscall;
  if (!path.empty()) message += " '" + path + "'";
  return message;
}

}  // namespace

SystemFailure::SystemFailure(int error_number, std::string syscall, std::string path)
    : error_number_(error_number), syscall_(std::move(syscall)), path_(std::move(path)) {}

Napi::Value SystemFailure::ToJs(Napi::Env env) const {
  const char* name = strerrorname_np(error_number_);
  const char* meaning = strerrordesc_np(error_number_);
  const std::string code = name != nullptr ? name : "E" + std::to_string(error_number_);
  const Napi::Object error =
      Napi::Error::New(env, Message(code.c_str(), meaning != nullptr ? meaning : "", syscall_, path_)).Value();
  error.Set("code", code);
  error.Set("errno", -error_number_);
  error.Set("syscall", syscall_);
  if (!path_.empty()) error.Set("path", path_);
  return error;
}

void ThrowHandleClosed(Napi::Env env, const char* what) {
  Napi::Error error = Napi::Error::New(env, std::string(what) + " is closed");
  error.Set("code", Napi::String::New(env, "ERR_HANDLE_CLOSED"));
  throw error;
}

}  // namespace ferry
