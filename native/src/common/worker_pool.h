// Threads for calls that block: one pool per addon, shared by every environment of the process.
//
// Two lanes, so that short questions (state, XML, abort) never queue behind long work (start, migrate, hash).
// The pool is not libuv's: four calls stuck in that one would stop `fs` and DNS, and process exit would wait for
// them. Threads are made on demand, end when idle, receive no signals, and are never joined: the pool is leaked
// on purpose, because a thread may sit in a call that does not come back when the process ends.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

namespace ferry {

enum class Lane { kFast, kSlow };

class WorkerPool {
 public:
  using Job = std::function<void()>;

  struct LaneStats {
    std::size_t threads;
    std::size_t idle;
    std::size_t queued;
  };

  static WorkerPool& Get();

  void Post(Lane lane, Job job);
  LaneStats Stats(Lane lane);
  // For an addon whose calls wait for peers: each that waits needs a thread.
  void SetLimit(Lane lane, std::size_t threads);

 private:
  struct LaneState {
    const char* thread_name;
    std::size_t max_threads;
    std::deque<Job> queue;
    std::condition_variable wake;
    std::size_t threads = 0;
    std::size_t idle = 0;
  };

  WorkerPool() = default;
  LaneState& StateOf(Lane lane) { return lane == Lane::kFast ? fast_ : slow_; }
  void StartThread(LaneState& lane);
  void Work(LaneState& lane);

  std::mutex mutex_;
  LaneState fast_{"ferry-fast", 8, {}, {}, 0, 0};
  LaneState slow_{"ferry-slow", 64, {}, {}, 0, 0};
};

}  // namespace ferry
