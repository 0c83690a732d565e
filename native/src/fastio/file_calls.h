// The calls of this addon, one per line of `agent/os/files.ts`. All run on the pool, take open
// descriptors that the caller keeps open until the promise settles, and reject like Node's own `fs`.
#pragma once

#include <napi.h>

#include "failure.h"

namespace ferry {

using Info = const Napi::CallbackInfo&;

// extents.cc
Napi::Value Extents(Info info);
// ranges.cc
Napi::Value PunchHole(Info info);
Napi::Value ZeroRange(Info info);
Napi::Value Allocate(Info info);
Napi::Value Clone(Info info);
Napi::Value CopyRange(Info info);
Napi::Value DropCache(Info info);
// facts.cc
Napi::Value Facts(Info info);
Napi::Value FileSystem(Info info);
Napi::Value DirectAlignment(Info info);
// locks.cc
Napi::Value TakeWriteLease(Info info);
Napi::Value HoldsWriteLease(Info info);
Napi::Value TakeWriteLock(Info info);
Napi::Value LockExclusive(Info info);
// names.cc
Napi::Value RenameNoReplace(Info info);
Napi::Value OpenBeneath(Info info);
// notify.cc
Napi::Value Notify(Info info);

}  // namespace ferry
