// What changes or moves bytes of a file by range.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arguments.h"
#include "async_call.h"
#include "file_calls.h"
#include "system_call.h"

namespace ferry {

namespace {

Napi::Value Fallocate(Info info, int mode) {
  auto work = [mode, fd = IntArgument(info, 0), offset = BytesArgument(info, 1), length = BytesArgument(info, 2)] {
    CheckedCall("fallocate", Uninterrupted([&] { return fallocate(fd, mode, offset, length); }));
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

std::int64_t CopyAll(int source, std::int64_t source_offset, int target, std::int64_t target_offset,
                     std::int64_t length) {
  std::int64_t copied = 0;
  while (copied < length) {
    loff_t from = source_offset + copied;
    loff_t to = target_offset + copied;
    const ssize_t moved = CheckedCall("copy_file_range", Uninterrupted([&] {
                                        return copy_file_range(source, &from, target, &to, length - copied, 0);
                                      }));
    if (moved == 0) break;  // end of the source
    copied += moved;
  }
  return copied;
}

}  // namespace

Napi::Value PunchHole(Info info) { return Fallocate(info, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE); }

Napi::Value ZeroRange(Info info) { return Fallocate(info, FALLOC_FL_ZERO_RANGE); }

Napi::Value Allocate(Info info) { return Fallocate(info, 0); }

Napi::Value Clone(Info info) {
  auto work = [source = IntArgument(info, 0), target = IntArgument(info, 1)] {
    CheckedCall("ioctl FICLONE", Uninterrupted([&] { return ioctl(target, FICLONE, source); }));
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

Napi::Value CopyRange(Info info) {
  auto work = [source = IntArgument(info, 0), source_offset = BytesArgument(info, 1), target = IntArgument(info, 2),
               target_offset = BytesArgument(info, 3), length = BytesArgument(info, 4)] {
    return CopyAll(source, source_offset, target, target_offset, length);
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), [](Napi::Env env, std::int64_t& copied) {
    return Napi::Number::New(env, static_cast<double>(copied));
  });
}

Napi::Value DropCache(Info info) {
  auto work = [fd = IntArgument(info, 0), offset = BytesArgument(info, 1), length = BytesArgument(info, 2)] {
    const int error_number = posix_fadvise(fd, offset, length, POSIX_FADV_DONTNEED);
    if (error_number != 0) throw SystemFailure(error_number, "posix_fadvise");
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work));
}

}  // namespace ferry
