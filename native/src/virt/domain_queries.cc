// Domain: what it is and what it holds. Nothing here changes anything.
#include <stdlib.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "domain.h"
#include "libvirt_failure.h"
#include "typed_params.h"

namespace ferry {

namespace {

struct State {
  int state;
  int reason;
};

Napi::Value TextToJs(Napi::Env env, std::string& text) { return Napi::String::New(env, text); }
Napi::Value FlagToJs(Napi::Env env, int& flag) { return Napi::Boolean::New(env, flag == 1); }

Napi::Value TextsToJs(Napi::Env env, std::vector<std::string>& texts) {
  Napi::Array array = Napi::Array::New(env, texts.size());
  for (std::size_t i = 0; i < texts.size(); i++) {
    array.Set(static_cast<std::uint32_t>(i), Napi::String::New(env, texts[i]));
  }
  return array;
}

// Owns the array and what it holds, so that a failure half-way leaks nothing.
template <class Owner, class Pointer>
std::vector<std::unique_ptr<Owner>> TakeAll(Pointer* found, int count) {
  std::vector<std::unique_ptr<Owner>> owned;
  for (int i = 0; i < count; i++) owned.push_back(std::make_unique<Owner>(found[i]));
  free(found);
  return owned;
}

}  // namespace

Napi::Value Domain::GetState(Info info) {
  auto work = [handle = Handle(info)] {
    State now{};
    LIBVIRT(virDomainGetState, handle->get(), &now.state, &now.reason, 0);
    return now;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, State& now) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("state", now.state);
    object.Set("reason", now.reason);
    return object;
  });
}

Napi::Value Domain::GetInfo(Info info) {
  auto work = [handle = Handle(info)] {
    virDomainInfo facts;
    LIBVIRT(virDomainGetInfo, handle->get(), &facts);
    return facts;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, virDomainInfo& facts) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("state", static_cast<int>(facts.state));
    object.Set("maxMemoryKib", BigIntOf(env, facts.maxMem));
    object.Set("memoryKib", BigIntOf(env, facts.memory));
    object.Set("vcpus", static_cast<int>(facts.nrVirtCpu));
    object.Set("cpuTimeNs", BigIntOf(env, facts.cpuTime));
    return object;
  });
}

Napi::Value Domain::GetXmlDesc(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    return LIBVIRT_STRING(virDomainGetXMLDesc, handle->get(), flags);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextToJs);
}

Napi::Value Domain::GetMetadata(Info info) {
  auto work = [handle = Handle(info), type = IntArgument(info, 0), uri = OptionalStringArgument(info, 1),
               flags = FlagsArgument(info, 2)] {
    return LIBVIRT_STRING(virDomainGetMetadata, handle->get(), type, OrNull(uri), flags);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextToJs);
}

Napi::Value Domain::IsPersistent(Info info) {
  auto work = [handle = Handle(info)] { return LIBVIRT(virDomainIsPersistent, handle->get()); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), FlagToJs);
}

Napi::Value Domain::GetAutostart(Info info) {
  auto work = [handle = Handle(info)] {
    int autostart = 0;
    LIBVIRT(virDomainGetAutostart, handle->get(), &autostart);
    return autostart;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), FlagToJs);
}

Napi::Value Domain::HasManagedSaveImage(Info info) {
  auto work = [handle = Handle(info)] { return LIBVIRT(virDomainHasManagedSaveImage, handle->get(), 0); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), FlagToJs);
}

Napi::Value Domain::ListAllSnapshots(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0), xml_flags = FlagsArgument(info, 1)] {
    virDomainSnapshotPtr* found = nullptr;
    const int count = LIBVIRT(virDomainListAllSnapshots, handle->get(), &found, flags);
    std::vector<std::string> xmls;
    for (const auto& snapshot : TakeAll<SnapshotHandle>(found, count)) {
      xmls.push_back(LIBVIRT_STRING(virDomainSnapshotGetXMLDesc, snapshot->get(), xml_flags));
    }
    return xmls;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextsToJs);
}

Napi::Value Domain::ListAllCheckpoints(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0), xml_flags = FlagsArgument(info, 1)] {
    virDomainCheckpointPtr* found = nullptr;
    const int count = LIBVIRT(virDomainListAllCheckpoints, handle->get(), &found, flags);
    std::vector<std::string> xmls;
    for (const auto& checkpoint : TakeAll<CheckpointHandle>(found, count)) {
      xmls.push_back(LIBVIRT_STRING(virDomainCheckpointGetXMLDesc, checkpoint->get(), xml_flags));
    }
    return xmls;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), TextsToJs);
}

}  // namespace ferry
