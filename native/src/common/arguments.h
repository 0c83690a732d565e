// Arguments of addon functions, strictly typed: a wrong type throws a TypeError in JavaScript, nothing is guessed.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <string>

namespace ferry {

std::string StringArgument(const Napi::CallbackInfo& info, std::size_t index);
// Undefined and null are "not given".
std::optional<std::string> OptionalStringArgument(const Napi::CallbackInfo& info, std::size_t index);
std::int32_t IntArgument(const Napi::CallbackInfo& info, std::size_t index);
std::uint32_t FlagsArgument(const Napi::CallbackInfo& info, std::size_t index);
// A byte offset or size: a safe non-negative integer, or a BigInt below 2^63.
std::int64_t BytesArgument(const Napi::CallbackInfo& info, std::size_t index);
bool BooleanArgument(const Napi::CallbackInfo& info, std::size_t index);
// The bytes stay JavaScript's: copy what outlives the call.
Napi::Uint8Array Uint8ArrayArgument(const Napi::CallbackInfo& info, std::size_t index);
Napi::Function FunctionArgument(const Napi::CallbackInfo& info, std::size_t index);

inline const char* OrNull(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }

}  // namespace ferry
