// What a worker throws when the world refuses: plain data there, an Error object once back in JavaScript.
#pragma once

#include <napi.h>

#include <string>

namespace ferry {

class Failure {
 public:
  virtual ~Failure() = default;
  virtual Napi::Value ToJs(Napi::Env env) const = 0;
};

// A system call that failed, in the shape of Node's own system errors: `code`, `errno` and `syscall`.
class SystemFailure : public Failure {
 public:
  SystemFailure(int error_number, std::string syscall, std::string path = "");
  Napi::Value ToJs(Napi::Env env) const override;

 private:
  int error_number_;
  std::string syscall_;
  std::string path_;
};

// JavaScript thread: a method of a handle that was closed or freed, code ERR_HANDLE_CLOSED.
[[noreturn]] void ThrowHandleClosed(Napi::Env env, const char* what);

}  // namespace ferry
