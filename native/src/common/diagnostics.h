// What tests and metrics may ask of either addon: the pool's numbers, a call that hangs, a leak check.
#pragma once

#include <napi.h>

namespace ferry {

// poolStats(), block(milliseconds), and in sanitizer builds leakCheck(): false when something leaked.
void AddDiagnostics(Napi::Env env, Napi::Object exports);

}  // namespace ferry
