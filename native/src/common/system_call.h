// System calls that throw what `errno` says, and a descriptor that closes itself.
#pragma once

#include <errno.h>
#include <unistd.h>

#include <string>

#include "failure.h"

namespace ferry {

template <class Result>
Result CheckedCall(const char* syscall, Result result, const std::string& path = "") {
  if (result < 0) throw SystemFailure(errno, syscall, path);
  return result;
}

// Repeats what a signal interrupted.
template <class Function>
auto Uninterrupted(Function function) {
  for (;;) {
    const auto result = function();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  // The caller's from now on.
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

}  // namespace ferry
