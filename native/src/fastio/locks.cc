// Proofs that nobody else has a file open or writes to it. Each answers whether it was granted and is held until
// the descriptor is closed.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>

#include <mutex>

#include "arguments.h"
#include "async_call.h"
#include "file_calls.h"
#include "system_call.h"

namespace ferry {

namespace {

Napi::Value GrantedToJs(Napi::Env env, bool& granted) { return Napi::Boolean::New(env, granted); }

bool Granted(const char* syscall, int result, int busy, int also_busy) {
  if (result >= 0) return true;
  if (errno == busy || errno == also_busy) return false;
  throw SystemFailure(errno, syscall);
}

// The kernel announces a lease break by SIGIO, whose default is to end the process.
void SurviveLeaseBreaks() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction now = {};
    sigaction(SIGIO, nullptr, &now);
    if (now.sa_handler == SIG_DFL) signal(SIGIO, SIG_IGN);
  });
}

}  // namespace

Napi::Value TakeWriteLease(Info info) {
  SurviveLeaseBreaks();
  auto work = [fd = IntArgument(info, 0)] {
    return Granted("fcntl F_SETLEASE", fcntl(fd, F_SETLEASE, F_WRLCK), EAGAIN, EWOULDBLOCK);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), GrantedToJs);
}

// While somebody waits for the lease to be given up, the kernel already answers what it will become.
Napi::Value HoldsWriteLease(Info info) {
  auto work = [fd = IntArgument(info, 0)] { return CheckedCall("fcntl F_GETLEASE", fcntl(fd, F_GETLEASE)) == F_WRLCK; };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), GrantedToJs);
}

// An open-file-description lock: it belongs to the descriptor, not to the process.
Napi::Value TakeWriteLock(Info info) {
  auto work = [fd = IntArgument(info, 0), start = BytesArgument(info, 1), length = BytesArgument(info, 2)] {
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = start;
    range.l_len = length;
    return Granted("fcntl F_OFD_SETLK", fcntl(fd, F_OFD_SETLK, &range), EAGAIN, EACCES);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), GrantedToJs);
}

Napi::Value LockExclusive(Info info) {
  auto work = [fd = IntArgument(info, 0)] {
    return Granted("flock", flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK, EWOULDBLOCK);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), GrantedToJs);
}

}  // namespace ferry
