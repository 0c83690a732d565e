// What a descriptor is: identity, sizes, times, file system, alignment for direct I/O.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "arguments.h"
#include "async_call.h"
#include "file_calls.h"
#include "system_call.h"

namespace ferry {

namespace {

// Since Linux 6.1; older headers do not know it, older kernels do not answer it.
#ifdef STATX_DIOALIGN
constexpr unsigned kDirectAlignmentMask = STATX_DIOALIGN;
#else
constexpr unsigned kDirectAlignmentMask = 0;
#endif

struct Alignment {
  unsigned memory;
  unsigned offset;
};

struct statx Statx(int fd, unsigned mask) {
  struct statx facts = {};
  CheckedCall("statx", statx(fd, "", AT_EMPTY_PATH, mask, &facts));
  return facts;
}

Napi::BigInt Nanoseconds(Napi::Env env, const struct statx_timestamp& time) {
  return Napi::BigInt::New(env, static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec);
}

Napi::Value FactsToJs(Napi::Env env, struct statx& facts) {
  const bool has_birth = (facts.stx_mask & STATX_BTIME) != 0;
  Napi::Object object = Napi::Object::New(env);
  object.Set("device", std::to_string(facts.stx_dev_major) + ":" + std::to_string(facts.stx_dev_minor));
  object.Set("inode", Napi::BigInt::New(env, static_cast<std::uint64_t>(facts.stx_ino)));
  object.Set("birthNs", has_birth ? Nanoseconds(env, facts.stx_btime) : Napi::BigInt::New(env, std::int64_t{0}));
  object.Set("sizeBytes", static_cast<double>(facts.stx_size));
  object.Set("allocatedBytes", static_cast<double>(facts.stx_blocks) * 512);
  object.Set("mtimeNs", Nanoseconds(env, facts.stx_mtime));
  object.Set("ctimeNs", Nanoseconds(env, facts.stx_ctime));
  return object;
}

}  // namespace

Napi::Value Facts(Info info) {
  auto work = [fd = IntArgument(info, 0)] { return Statx(fd, STATX_BASIC_STATS | STATX_BTIME); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), FactsToJs);
}

Napi::Value FileSystem(Info info) {
  auto work = [fd = IntArgument(info, 0)] {
    struct statfs facts = {};
    CheckedCall("fstatfs", Uninterrupted([&] { return fstatfs(fd, &facts); }));
    return facts;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, struct statfs& facts) {
    const double block_bytes = static_cast<double>(facts.f_frsize);
    const auto reserved_blocks = facts.f_bfree - facts.f_bavail;
    Napi::Object object = Napi::Object::New(env);
    object.Set("magic", static_cast<double>(static_cast<std::uint32_t>(facts.f_type)));
    object.Set("freeBytes", static_cast<double>(facts.f_bavail) * block_bytes);
    object.Set("totalBytes", static_cast<double>(facts.f_blocks - reserved_blocks) * block_bytes);
    return object;
  });
}

Napi::Value DirectAlignment(Info info) {
  auto work = [fd = IntArgument(info, 0)] {
    const struct statx facts = Statx(fd, kDirectAlignmentMask);
    Alignment alignment{0, 0};
#ifdef STATX_DIOALIGN
    if ((facts.stx_mask & STATX_DIOALIGN) != 0) alignment = {facts.stx_dio_mem_align, facts.stx_dio_offset_align};
#endif
    return alignment;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, Alignment& alignment) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("memory", alignment.memory);
    object.Set("offset", alignment.offset);
    return object;
  });
}

}  // namespace ferry
