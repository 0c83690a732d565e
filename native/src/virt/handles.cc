#include "handles.h"

#include "worker_pool.h"

namespace ferry {

ConnectHandle::~ConnectHandle() {
  WorkerPool::Get().Post(Lane::kSlow, [connect = connect_] { virConnectClose(connect); });
}

}  // namespace ferry
