// Connect: storage pools and networks.
#include <stdlib.h>

#include <optional>
#include <utility>
#include <vector>

#include "arguments.h"
#include "async_call.h"
#include "connect.h"
#include "libvirt_failure.h"
#include "storage_pool.h"

namespace ferry {

namespace {

struct NetworkFacts {
  std::string name;
  std::string uuid;
  bool active;
  std::optional<std::string> bridge;
};

std::vector<StoragePoolRef> ListPools(const ConnectRef& connect, unsigned flags) {
  virStoragePoolPtr* found = nullptr;
  const int count = LIBVIRT(virConnectListAllStoragePools, connect->get(), &found, flags);
  std::vector<StoragePoolRef> pools;
  for (int i = 0; i < count; i++) pools.push_back(std::make_shared<StoragePoolHandle>(found[i], connect));
  free(found);
  return pools;
}

// A network without a bridge of its own (macvtap, SR-IOV pool) answers an error, which is not ours to report.
std::optional<std::string> BridgeOf(virNetworkPtr network) {
  char* bridge = virNetworkGetBridgeName(network);
  if (bridge == nullptr) {
    virResetLastError();
    return std::nullopt;
  }
  std::string name(bridge);
  free(bridge);
  return name;
}

NetworkFacts ReadNetwork(virNetworkPtr network) {
  char uuid[VIR_UUID_STRING_BUFLEN];
  LIBVIRT(virNetworkGetUUIDString, network, uuid);
  return {virNetworkGetName(network), uuid, LIBVIRT(virNetworkIsActive, network) == 1, BridgeOf(network)};
}

std::vector<NetworkFacts> ListNetworks(const ConnectRef& connect, unsigned flags) {
  virNetworkPtr* found = nullptr;
  const int count = LIBVIRT(virConnectListAllNetworks, connect->get(), &found, flags);
  std::vector<std::unique_ptr<NetworkHandle>> handles;
  for (int i = 0; i < count; i++) handles.push_back(std::make_unique<NetworkHandle>(found[i]));
  free(found);
  std::vector<NetworkFacts> networks;
  for (const auto& handle : handles) networks.push_back(ReadNetwork(handle->get()));
  return networks;
}

Napi::Value NetworksToJs(Napi::Env env, std::vector<NetworkFacts>& networks) {
  Napi::Array array = Napi::Array::New(env, networks.size());
  for (std::size_t i = 0; i < networks.size(); i++) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", networks[i].name);
    object.Set("uuid", networks[i].uuid);
    object.Set("active", networks[i].active);
    if (networks[i].bridge) object.Set("bridge", *networks[i].bridge);
    array.Set(static_cast<std::uint32_t>(i), object);
  }
  return array;
}

}  // namespace

Napi::Value Connect::ListAllStoragePools(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] { return ListPools(handle, flags); };
  auto convert = [children = children_](Napi::Env env, std::vector<StoragePoolRef>& pools) {
    Napi::Array array = Napi::Array::New(env, pools.size());
    for (std::size_t i = 0; i < pools.size(); i++) {
      array.Set(static_cast<std::uint32_t>(i), StoragePool::New(env, std::move(pools[i]), children));
    }
    return array;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), std::move(convert));
}

Napi::Value Connect::ListAllNetworks(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] { return ListNetworks(handle, flags); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), NetworksToJs);
}

}  // namespace ferry
