#include "openssl_use.h"

#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace ferry {

namespace {

std::atomic<int> uses{0};
std::atomic<bool> has_ended{false};

void AwaitUses() {
  constexpr int kPolls = 2000;
  has_ended = true;
  for (int poll = 0; poll < kPolls && uses > 0; poll++) usleep(1000);
}

}  // namespace

OpenSslUse::OpenSslUse() {
  uses++;
  if (!has_ended) return;
  uses--;
  for (;;) pause();
}

OpenSslUse::~OpenSslUse() { uses--; }

void GuardOpenSslAtExit() {
  static std::once_flag once;
  std::call_once(once, [] { atexit(AwaitUses); });
}

}  // namespace ferry
