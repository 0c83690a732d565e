#include "libvirt_failure.h"

#include <stdlib.h>

#include "addon_data.h"

namespace ferry {

namespace {
std::string TextOf(const char* text) { return text != nullptr ? text : ""; }
}  // namespace

LibvirtFailure::LibvirtFailure(const char* operation) : operation_(operation) {
  const virErrorPtr last = virGetLastError();
  if (last == nullptr) {
    code_ = VIR_ERR_INTERNAL_ERROR;
    message_ = "failed without saying why";
    return;
  }
  code_ = last->code;
  domain_ = last->domain;
  level_ = last->level;
  int1_ = last->int1;
  message_ = TextOf(last->message);
  str1_ = TextOf(last->str1);
  str2_ = TextOf(last->str2);
  str3_ = TextOf(last->str3);
  virResetLastError();
}

Napi::Value LibvirtFailure::ToJs(Napi::Env env) const {
  const Napi::Object facts = Napi::Object::New(env);
  facts.Set("code", code_);
  facts.Set("domain", domain_);
  facts.Set("level", level_);
  facts.Set("op", operation_);
  facts.Set("str1", str1_);
  facts.Set("str2", str2_);
  facts.Set("str3", str3_);
  facts.Set("int1", int1_);
  return VirtData::Of(env).error_class.Value().New({Napi::String::New(env, message_), facts});
}

std::string CheckedString(const char* operation, char* owned) {
  if (owned == nullptr) throw LibvirtFailure(operation);
  std::string text(owned);
  free(owned);
  return text;
}

}  // namespace ferry
