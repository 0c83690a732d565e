// Jobs that must not overlap: one after the other, in the order in which they were posted, on threads of the pool. Nobody
// waits for his turn, and while there is work one thread does all of it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace ferry {

class SerialJobs : public std::enable_shared_from_this<SerialJobs> {
 public:
  // Must not throw.
  using Job = std::function<void()>;

  void Post(Job job);

 private:
  void Work();

  std::mutex mutex_;
  std::deque<Job> jobs_;
  bool is_working_ = false;
};

}  // namespace ferry
