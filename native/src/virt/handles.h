// Owners of libvirt's handles, shared by the JavaScript object and the calls in flight: the last one lets go.
//
// A domain or pool keeps its connection open inside libvirt, so closing a connection means dropping these too. They
// in turn keep the ConnectHandle, so that the last reference is always dropped there: closing talks to the daemon,
// and a finalizer on the JavaScript thread must not.
#pragma once

#include <libvirt/libvirt.h>

#include <memory>
#include <utility>

namespace ferry {

class ConnectHandle {
 public:
  explicit ConnectHandle(virConnectPtr connect) : connect_(connect) {}
  ConnectHandle(const ConnectHandle&) = delete;
  ConnectHandle& operator=(const ConnectHandle&) = delete;
  ~ConnectHandle();  // closes on the pool
  virConnectPtr get() const { return connect_; }

 private:
  virConnectPtr connect_;
};

using ConnectRef = std::shared_ptr<ConnectHandle>;

template <class Pointer, int (*Free)(Pointer)>
class Handle {
 public:
  // Without a connection only for what does not outlive the call that made it.
  explicit Handle(Pointer pointer, ConnectRef connect = nullptr) : connect_(std::move(connect)), pointer_(pointer) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { Free(pointer_); }
  Pointer get() const { return pointer_; }

 private:
  ConnectRef connect_;
  Pointer pointer_;
};

using DomainHandle = Handle<virDomainPtr, virDomainFree>;
using StoragePoolHandle = Handle<virStoragePoolPtr, virStoragePoolFree>;
using NetworkHandle = Handle<virNetworkPtr, virNetworkFree>;
using SnapshotHandle = Handle<virDomainSnapshotPtr, virDomainSnapshotFree>;
using CheckpointHandle = Handle<virDomainCheckpointPtr, virDomainCheckpointFree>;

using DomainRef = std::shared_ptr<DomainHandle>;
using StoragePoolRef = std::shared_ptr<StoragePoolHandle>;

}  // namespace ferry
