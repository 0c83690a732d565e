#include "event_loop.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "quiet_thread.h"

namespace ferry {

namespace {

constexpr std::chrono::milliseconds kPauseAfterError{100};

void RunForever() {
  for (;;) {
    if (virEventRunDefaultImpl() >= 0) continue;
    virResetLastError();
    std::this_thread::sleep_for(kPauseAfterError);
  }
}

}  // namespace

void StartEventLoop() {
  static std::once_flag once;
  std::call_once(once, [] {
    virInitialize();
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});  // otherwise libvirt prints on stderr
    virEventRegisterDefaultImpl();
    StartQuietThread("ferry-virt-event", RunForever);
  });
}

}  // namespace ferry
