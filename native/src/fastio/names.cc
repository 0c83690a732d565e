// Names: a rename that never replaces and survives a power cut, and an open that cannot leave its directory.
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arguments.h"
#include "async_call.h"
#include "file_calls.h"
#include "system_call.h"

namespace ferry {

namespace {

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void SyncDirectory(const std::string& path) {
  const Descriptor directory(CheckedCall("open", open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), path));
  CheckedCall("fsync", Uninterrupted([&] { return fsync(directory.get()); }), path);
}

}  // namespace

Napi::Value RenameNoReplace(Info info) {
  auto work = [old_path = StringArgument(info, 0), new_path = StringArgument(info, 1)] {
    CheckedCall("renameat2", renameat2(AT_FDCWD, old_path.c_str(), AT_FDCWD, new_path.c_str(), RENAME_NOREPLACE),
                old_path);
    const std::string from = DirectoryOf(old_path);
    const std::string to = DirectoryOf(new_path);
    SyncDirectory(to);
    if (from != to) SyncDirectory(from);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

Napi::Value OpenBeneath(Info info) {
  auto work = [directory = IntArgument(info, 0), path = StringArgument(info, 1), flags = FlagsArgument(info, 2),
               mode = FlagsArgument(info, 3)] {
    struct open_how how = {};
    how.flags = flags | O_CLOEXEC;
    how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;  // openat2 refuses a mode that means nothing
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const long fd = Uninterrupted([&] { return syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how); });
    return static_cast<int>(CheckedCall("openat2", fd, path));
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work),
                   [](Napi::Env env, int& fd) { return Napi::Number::New(env, fd); });
}

}  // namespace ferry
