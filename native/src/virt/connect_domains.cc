// Connect: finding, defining and counting domains.
#include <stdlib.h>

#include <utility>
#include <vector>

#include "arguments.h"
#include "async_call.h"
#include "connect.h"
#include "domain.h"
#include "libvirt_failure.h"
#include "typed_params.h"

namespace ferry {

namespace {

struct DomainStats {
  std::string uuid;
  std::string name;
  TypedParams params;
};

std::vector<DomainRef> ListDomains(const ConnectRef& connect, unsigned flags) {
  virDomainPtr* found = nullptr;
  const int count = LIBVIRT(virConnectListAllDomains, connect->get(), &found, flags);
  std::vector<DomainRef> domains;
  for (int i = 0; i < count; i++) domains.push_back(std::make_shared<DomainHandle>(found[i], connect));
  free(found);
  return domains;
}

std::vector<DomainStats> ReadAllStats(const ConnectRef& connect, unsigned stats, unsigned flags) {
  virDomainStatsRecordPtr* records = nullptr;
  const int count = LIBVIRT(virConnectGetAllDomainStats, connect->get(), stats, &records, flags);
  std::vector<DomainStats> all;
  for (int i = 0; i < count; i++) {
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    virDomainGetUUIDString(records[i]->dom, uuid);
    all.push_back({uuid, virDomainGetName(records[i]->dom), ReadTypedParams(records[i]->params, records[i]->nparams)});
  }
  virDomainStatsRecordListFree(records);
  return all;
}

Napi::Value StatsToJs(Napi::Env env, std::vector<DomainStats>& all) {
  Napi::Array array = Napi::Array::New(env, all.size());
  for (std::size_t i = 0; i < all.size(); i++) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("uuid", all[i].uuid);
    object.Set("name", all[i].name);
    object.Set("stats", TypedParamsToJs(env, all[i].params));
    array.Set(static_cast<std::uint32_t>(i), object);
  }
  return array;
}

}  // namespace

// `look_up` answers a virDomainPtr of its own.
template <class LookUp>
Napi::Value Connect::OneDomain(Info info, LookUp look_up) {
  auto work = [handle = Handle(info), look_up = std::move(look_up)] {
    return std::make_shared<DomainHandle>(look_up(handle->get()), handle);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [children = children_](Napi::Env env, DomainRef& domain) {
    return Domain::New(env, std::move(domain), children);
  });
}

Napi::Value Connect::LookupByName(Info info) {
  return OneDomain(info, [name = StringArgument(info, 0)](virConnectPtr connect) {
    return LIBVIRT(virDomainLookupByName, connect, name.c_str());
  });
}

Napi::Value Connect::LookupByUuid(Info info) {
  return OneDomain(info, [uuid = StringArgument(info, 0)](virConnectPtr connect) {
    return LIBVIRT(virDomainLookupByUUIDString, connect, uuid.c_str());
  });
}

Napi::Value Connect::DefineXml(Info info) {
  return OneDomain(info, [xml = StringArgument(info, 0), flags = FlagsArgument(info, 1)](virConnectPtr connect) {
    return LIBVIRT(virDomainDefineXMLFlags, connect, xml.c_str(), flags);
  });
}

Napi::Value Connect::ListAllDomains(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] { return ListDomains(handle, flags); };
  auto convert = [children = children_](Napi::Env env, std::vector<DomainRef>& domains) {
    Napi::Array array = Napi::Array::New(env, domains.size());
    for (std::size_t i = 0; i < domains.size(); i++) {
      array.Set(static_cast<std::uint32_t>(i), Domain::New(env, std::move(domains[i]), children));
    }
    return array;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), std::move(convert));
}

Napi::Value Connect::GetAllDomainStats(Info info) {
  auto work = [handle = Handle(info), stats = FlagsArgument(info, 0), flags = FlagsArgument(info, 1)] {
    return ReadAllStats(handle, stats, flags);
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), StatsToJs);
}

}  // namespace ferry
