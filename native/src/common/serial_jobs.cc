#include "serial_jobs.h"

#include <utility>

#include "worker_pool.h"

namespace ferry {

void SerialJobs::Post(Job job) {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    jobs_.push_back(std::move(job));
    if (is_working_) return;
    is_working_ = true;
  }
  WorkerPool::Get().Post(Lane::kSlow, [self = shared_from_this()] { self->Work(); });
}

void SerialJobs::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!jobs_.empty()) {
    {
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
    }  // what it captured may post again: let go of it outside the lock
    lock.lock();
  }
  is_working_ = false;
}

}  // namespace ferry
