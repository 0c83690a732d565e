// A domain (virtual machine), as JavaScript sees it. `name`, `uuid` and `id` are what the handle was made with;
// everything else asks the daemon and answers a promise.
#pragma once

#include <napi.h>

#include "arguments.h"
#include "async_call.h"
#include "children.h"
#include "handles.h"

namespace ferry {

class Domain : public Napi::ObjectWrap<Domain>, public Child {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Object New(Napi::Env env, DomainRef handle, ChildrenRef children);

  explicit Domain(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  ~Domain() override;
  void Drop() override { handle_ = nullptr; }

 private:
  using Info = const Napi::CallbackInfo&;

  // domain.cc: identity and what changes a domain
  Napi::Value Name(Info info);
  Napi::Value Uuid(Info info);
  Napi::Value Id(Info info);
  Napi::Value Free(Info info);
  Napi::Value Create(Info info);
  Napi::Value Shutdown(Info info);
  Napi::Value Destroy(Info info);
  Napi::Value Suspend(Info info);
  Napi::Value Resume(Info info);
  Napi::Value Undefine(Info info);
  Napi::Value SetAutostart(Info info);
  Napi::Value SetMetadata(Info info);
  Napi::Value BlockResize(Info info);
  // domain_queries.cc
  Napi::Value GetState(Info info);
  Napi::Value GetInfo(Info info);
  Napi::Value GetXmlDesc(Info info);
  Napi::Value GetMetadata(Info info);
  Napi::Value IsPersistent(Info info);
  Napi::Value GetAutostart(Info info);
  Napi::Value HasManagedSaveImage(Info info);
  Napi::Value ListAllSnapshots(Info info);
  Napi::Value ListAllCheckpoints(Info info);
  // domain_jobs.cc
  Napi::Value GetJobInfo(Info info);
  Napi::Value GetJobStats(Info info);
  Napi::Value AbortJob(Info info);
  Napi::Value BlockJobInfo(Info info);
  Napi::Value SnapshotCreateXml(Info info);
  Napi::Value CheckpointCreateXml(Info info);

  // Throws in JavaScript when freed.
  const DomainRef& Handle(Info info) const;

  DomainRef handle_;
  ChildrenRef children_;
};

}  // namespace ferry
