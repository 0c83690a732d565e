// Names: a rename that never replaces and survives a power cut, and an open that cannot leave its directory.
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

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

long OpenAt2(int directory, const std::string& path, int flags, mode_t mode) {
  struct open_how how = {};
  how.flags = flags;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Uninterrupted([&] { return syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how); });
}

// The same by one component at a time, where openat2 is not to be had: in a sandbox whose filter cannot look into its
// argument (systemd's RestrictSUIDSGID) and on old kernels. Refuses every "..", also one that would stay beneath.
int OpenStepwise(int directory, const std::string& path, int flags, mode_t mode) {
  if (path.empty()) throw SystemFailure(ENOENT, "openat", path);
  if (path.front() == '/') throw SystemFailure(EXDEV, "openat", path);
  std::optional<Descriptor> folder;
  for (std::size_t start = 0;;) {
    const std::size_t slash = path.find('/', start);
    const std::string name = path.substr(start, slash - start);
    if (name == "..") throw SystemFailure(EXDEV, "openat", path);
    const int from = folder ? folder->get() : directory;
    const bool is_last = slash == std::string::npos;
    const int how = is_last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const char* component = name.empty() ? "." : name.c_str();
    const int fd = CheckedCall("openat", Uninterrupted([&] { return openat(from, component, how, mode); }), path);
    if (is_last) return fd;
    folder.emplace(fd);
    start = slash + 1;
  }
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
    const int how = static_cast<int>(flags) | O_CLOEXEC;
    const mode_t made = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;  // openat2 refuses a mode that means nothing
    const long fd = OpenAt2(directory, path, how, made);
    if (fd < 0 && errno == ENOSYS) return OpenStepwise(directory, path, how, made);
    return static_cast<int>(CheckedCall("openat2", fd, path));
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work),
                   [](Napi::Env env, int& fd) { return Napi::Number::New(env, fd); });
}

}  // namespace ferry
