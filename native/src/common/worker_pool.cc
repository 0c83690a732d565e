#include "worker_pool.h"

#include <pthread.h>

#include <chrono>
#include <thread>
#include <utility>

#include "quiet_thread.h"

namespace ferry {

namespace {
constexpr std::chrono::seconds kIdleLimit{30};
}

WorkerPool& WorkerPool::Get() {
  static auto* pool = new WorkerPool;
  return *pool;
}

void WorkerPool::Post(Lane which, Job job) {
  std::lock_guard<std::mutex> guard(mutex_);
  LaneState& lane = StateOf(which);
  lane.queue.push_back(std::move(job));
  if (lane.queue.size() > lane.idle && lane.threads < lane.max_threads) StartThread(lane);
  lane.wake.notify_one();
}

WorkerPool::LaneStats WorkerPool::Stats(Lane which) {
  std::lock_guard<std::mutex> guard(mutex_);
  const LaneState& lane = StateOf(which);
  return {lane.threads, lane.idle, lane.queue.size()};
}

void WorkerPool::SetLimit(Lane which, std::size_t threads) {
  std::lock_guard<std::mutex> guard(mutex_);
  StateOf(which).max_threads = threads;
}

void WorkerPool::StartThread(LaneState& lane) {
  StartQuietThread(lane.thread_name, [this, &lane] { Work(lane); });
  lane.threads++;
}

void WorkerPool::Work(LaneState& lane) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    while (lane.queue.empty()) {
      lane.idle++;
      const auto woken = lane.wake.wait_for(lock, kIdleLimit);
      lane.idle--;
      if (woken == std::cv_status::timeout && lane.queue.empty()) {
        lane.threads--;
        return;
      }
    }
    Job job = std::move(lane.queue.front());
    lane.queue.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it captured may post again: let go of it outside the lock
    lock.lock();
  }
}

}  // namespace ferry
