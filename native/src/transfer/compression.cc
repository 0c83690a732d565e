#include "compression.h"

#include <algorithm>

namespace ferry {

namespace {

constexpr int kWindowLeaves = 32;
constexpr double kGain = 1.25;
constexpr int kTrustedWindows = 32;
constexpr int kRestGrowth = 4;
constexpr int kLongestRest = 256;

}  // namespace

bool CompressionChoice::ShouldCompress() {
  if (policy_ == Compression::kOff || (policy_ == Compression::kAuto && !compresses_)) return false;
  if (skip_ == 0) return true;
  skip_--;
  return false;
}

void CompressionChoice::Sent(std::size_t bytes, Duration took, Duration waited) {
  if (policy_ != Compression::kAuto) return;
  bytes_ += bytes;
  took_ += took;
  waited_ += waited;
  if (++leaves_ < kWindowLeaves || took_.count() <= 0) return;
  Decide(static_cast<double>(bytes_) / static_cast<double>(took_.count()), waited_ * 2 >= took_);
  leaves_ = 0;
  bytes_ = 0;
  took_ = waited_ = Duration(0);
}

void CompressionChoice::Decide(double bytes_per_ns, bool waits) {
  if (!compresses_) {
    plain_bytes_per_ns_ = bytes_per_ns;
    if (rest_ > 0) rest_--;
    else compresses_ = waits;
    windows_ = 0;
  } else if (bytes_per_ns < plain_bytes_per_ns_ * kGain) {
    compresses_ = false;
    rest_ = next_rest_;
    next_rest_ = std::min(next_rest_ * kRestGrowth, kLongestRest);
  } else {
    next_rest_ = 1;
    if (++windows_ >= kTrustedWindows) compresses_ = false;
  }
}

}  // namespace ferry
