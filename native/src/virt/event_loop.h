// libvirt's own event loop on a thread of its own: timers, keepalives and events go on while JavaScript is busy.
#pragma once

namespace ferry {

// Process-wide, once; before the first connection is opened. Never stopped.
void StartEventLoop();

}  // namespace ferry
