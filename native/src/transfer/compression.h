// Whether the next leaf is compressed. Processor time is the dearer thing, so by itself it is only while the link is the
// bottleneck, and only as long as compressing really brings more bytes across:
//
//   plain ── at least half of the time went into waiting for the link ──▶ compressing
//     ▲──── hardly faster than plain was (rests, longer each time) ──────────────┤
//     ▲──── after a while, to see whether the link is still that slow ───────┘
//
// After a leaf that would not shrink the next few are not tried.
#pragma once

#include <chrono>
#include <cstddef>

namespace ferry {

enum class Compression { kOff, kAuto, kAlways };

class CompressionChoice {
 public:
  using Duration = std::chrono::nanoseconds;

  explicit CompressionChoice(Compression policy) : policy_(policy) {}

  // Asked once before each leaf.
  bool ShouldCompress();
  void DidNotShrink() { skip_ = kSkippedLeaves; }
  // A leaf of so many bytes has been sent: how long that took altogether, and how much of it was waiting for the link.
  void Sent(std::size_t bytes, Duration took, Duration waited);

 private:
  static constexpr int kSkippedLeaves = 7;

  void Decide(double bytes_per_ns, bool waits);

  const Compression policy_;
  bool compresses_ = false;
  int skip_ = 0;
  // Of the window under way.
  int leaves_ = 0;
  std::size_t bytes_ = 0;
  Duration took_{0};
  Duration waited_{0};
  // Since the last change.
  double plain_bytes_per_ns_ = 0;
  int windows_ = 0;
  int rest_ = 0;
  int next_rest_ = 1;
};

}  // namespace ferry
