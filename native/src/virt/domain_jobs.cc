// Domain: jobs, snapshots and checkpoints.
#include <optional>
#include <utility>

#include "domain.h"
#include "libvirt_failure.h"
#include "typed_params.h"

namespace ferry {

namespace {

struct JobStats {
  int type;
  TypedParams params;
};

Napi::Value NameToJs(Napi::Env env, std::string& name) { return Napi::String::New(env, name); }

}  // namespace

Napi::Value Domain::GetJobInfo(Info info) {
  auto work = [handle = Handle(info)] {
    virDomainJobInfo job;
    LIBVIRT(virDomainGetJobInfo, handle->get(), &job);
    return job;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, virDomainJobInfo& job) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("type", job.type);
    object.Set("timeElapsedMs", BigIntOf(env, job.timeElapsed));
    object.Set("dataTotalBytes", BigIntOf(env, job.dataTotal));
    object.Set("dataProcessedBytes", BigIntOf(env, job.dataProcessed));
    object.Set("dataRemainingBytes", BigIntOf(env, job.dataRemaining));
    return object;
  });
}

Napi::Value Domain::GetJobStats(Info info) {
  auto work = [handle = Handle(info), flags = FlagsArgument(info, 0)] {
    JobStats job{};
    virTypedParameterPtr params = nullptr;
    int count = 0;
    LIBVIRT(virDomainGetJobStats, handle->get(), &job.type, &params, &count, flags);
    job.params = ReadTypedParams(params, count);
    virTypedParamsFree(params, count);
    return job;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, JobStats& job) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("type", job.type);
    object.Set("stats", TypedParamsToJs(env, job.params));
    return object;
  });
}

Napi::Value Domain::AbortJob(Info info) {
  // Fast: it must never queue behind what it aborts.
  return AsyncCall(info.Env(), Lane::kFast, [handle = Handle(info)] { LIBVIRT(virDomainAbortJob, handle->get()); });
}

Napi::Value Domain::BlockJobInfo(Info info) {
  using Job = std::optional<virDomainBlockJobInfo>;
  auto work = [handle = Handle(info), disk = StringArgument(info, 0), flags = FlagsArgument(info, 1)] {
    virDomainBlockJobInfo job;
    const int found = LIBVIRT(virDomainGetBlockJobInfo, handle->get(), disk.c_str(), &job, flags);
    return found == 1 ? Job(job) : std::nullopt;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, Job& job) -> Napi::Value {
    if (!job) return env.Undefined();
    Napi::Object object = Napi::Object::New(env);
    object.Set("type", job->type);
    object.Set("bandwidth", BigIntOf(env, job->bandwidth));
    object.Set("current", BigIntOf(env, job->cur));
    object.Set("end", BigIntOf(env, job->end));
    return object;
  });
}

Napi::Value Domain::SnapshotCreateXml(Info info) {
  auto work = [handle = Handle(info), xml = StringArgument(info, 0), flags = FlagsArgument(info, 1)] {
    const SnapshotHandle made(LIBVIRT(virDomainSnapshotCreateXML, handle->get(), xml.c_str(), flags));
    return std::string(virDomainSnapshotGetName(made.get()));
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), NameToJs);
}

Napi::Value Domain::CheckpointCreateXml(Info info) {
  auto work = [handle = Handle(info), xml = StringArgument(info, 0), flags = FlagsArgument(info, 1)] {
    const CheckpointHandle made(LIBVIRT(virDomainCheckpointCreateXML, handle->get(), xml.c_str(), flags));
    return std::string(virDomainCheckpointGetName(made.get()));
  };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), NameToJs);
}

}  // namespace ferry
