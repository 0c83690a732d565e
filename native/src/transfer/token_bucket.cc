#include "token_bucket.h"

#include <algorithm>

namespace ferry {

namespace {

constexpr double kBurstSeconds = 0.05;
constexpr std::chrono::milliseconds kPoll{100};

}  // namespace

void TokenBucket::SetRate(double bytes_per_second) {
  std::lock_guard<std::mutex> guard(mutex_);
  Refill();
  bytes_per_second_ = bytes_per_second;
  tokens_ = std::max(tokens_, 0.0);  // a debt of the old rate would take long at a lower one
  changed_.notify_all();
}

void TokenBucket::Take(std::int64_t bytes, const std::function<bool()>& is_cancelled) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (bytes_per_second_ <= 0 && queue_.empty()) return;
  const auto place = queue_.insert(queue_.end(), &bytes);
  while (bytes_per_second_ > 0 && !is_cancelled()) {
    Refill();
    const bool is_first = queue_.begin() == place;
    if (is_first && tokens_ >= 0) {
      tokens_ -= static_cast<double>(bytes);
      break;
    }
    const std::chrono::duration<double> until_free(is_first ? -tokens_ / bytes_per_second_ : 1.0);
    changed_.wait_for(lock, std::min<std::chrono::duration<double>>(until_free, kPoll));
  }
  queue_.erase(place);
  changed_.notify_all();
}

void TokenBucket::Refill() {
  const auto now = Clock::now();
  const std::chrono::duration<double> passed = now - refilled_;
  refilled_ = now;
  tokens_ = std::min(tokens_ + passed.count() * bytes_per_second_, kBurstSeconds * bytes_per_second_);
}

}  // namespace ferry
