// libvirt's last error, taken on the thread where the call failed (it is thread-local) and carried to JavaScript.
//
//   const std::string xml = LIBVIRT_STRING(virDomainGetXMLDesc, domain->get(), flags);
//   LIBVIRT(virDomainSuspend, domain->get());
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <string>

#include "failure.h"

namespace ferry {

class LibvirtFailure final : public Failure {
 public:
  // Takes the calling thread's last error and resets it.
  explicit LibvirtFailure(const char* operation);
  Napi::Value ToJs(Napi::Env env) const override;

 private:
  std::string operation_;  // the C function that failed
  std::string message_;
  std::string str1_;
  std::string str2_;
  std::string str3_;
  int code_ = 0;
  int domain_ = 0;
  int level_ = 0;
  int int1_ = 0;
};

inline int Checked(const char* operation, int result) {
  if (result < 0) throw LibvirtFailure(operation);
  return result;
}

template <class T>
T* Checked(const char* operation, T* result) {
  if (result == nullptr) throw LibvirtFailure(operation);
  return result;
}

// Takes ownership of a malloc'ed string.
std::string CheckedString(const char* operation, char* owned);

#define LIBVIRT(function, ...) ::ferry::Checked(#function, function(__VA_ARGS__))
#define LIBVIRT_STRING(function, ...) ::ferry::CheckedString(#function, function(__VA_ARGS__))

}  // namespace ferry
