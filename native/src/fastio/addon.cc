// The file addon: what Node's `fs` lacks. Needs nothing but the kernel.
#include <napi.h>

#include <memory>

#include "diagnostics.h"
#include "env_state.h"
#include "file_calls.h"

namespace ferry {

namespace {

template <Napi::Value (*function)(Info)>
void Add(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

Napi::Object Load(Napi::Env env, Napi::Object exports) {
  EnvState::Install(env, nullptr);
  Add<Extents>(env, exports, "extents");
  Add<PunchHole>(env, exports, "punchHole");
  Add<ZeroRange>(env, exports, "zeroRange");
  Add<Allocate>(env, exports, "allocate");
  Add<Clone>(env, exports, "clone");
  Add<CopyRange>(env, exports, "copyRange");
  Add<DropCache>(env, exports, "dropCache");
  Add<Facts>(env, exports, "facts");
  Add<FileSystem>(env, exports, "fileSystem");
  Add<DirectAlignment>(env, exports, "directAlignment");
  Add<TakeWriteLease>(env, exports, "takeWriteLease");
  Add<HoldsWriteLease>(env, exports, "holdsWriteLease");
  Add<TakeWriteLock>(env, exports, "takeWriteLock");
  Add<LockExclusive>(env, exports, "lockExclusive");
  Add<RenameNoReplace>(env, exports, "renameNoReplace");
  Add<OpenBeneath>(env, exports, "openBeneath");
  Add<Notify>(env, exports, "notify");
  AddDiagnostics(env, exports);
  return exports;
}

}  // namespace

}  // namespace ferry

using ferry::Load;  // the macro takes a plain name only
NODE_API_MODULE(fastio, Load)
