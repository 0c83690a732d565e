// A limit on bytes per second that may change at any time; whoever takes waits for its turn, first come first served.
//
// One bucket may be shared by all connections of a migration, or of a host: as each takes a leaf at a time, they share it
// evenly. A taker may overdraw the bucket once, so no leaf is too large for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>

namespace ferry {

class TokenBucket {
 public:
  // 0 is no limit.
  void SetRate(double bytes_per_second);
  // Returns when these bytes may be sent, or when `is_cancelled` says so, which is asked ten times a second.
  void Take(std::int64_t bytes, const std::function<bool()>& is_cancelled);

 private:
  using Clock = std::chrono::steady_clock;

  void Refill();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<const void*> queue_;
  double bytes_per_second_ = 0;
  double tokens_ = 0;
  Clock::time_point refilled_ = Clock::now();
};

}  // namespace ferry
