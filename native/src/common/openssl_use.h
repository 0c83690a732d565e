// A short use of OpenSSL by one of our threads.
//
// When the process ends OpenSSL frees what it shares, while detached threads still run. So the end waits for uses that
// have begun, and a thread that comes later waits for the end instead of touching anything.
#pragma once

namespace ferry {

class OpenSslUse {
 public:
  OpenSslUse();
  ~OpenSslUse();
  OpenSslUse(const OpenSslUse&) = delete;
  OpenSslUse& operator=(const OpenSslUse&) = delete;
};

// Once per addon, when OpenSSL is there already: handlers of the process's end run in reverse order.
void GuardOpenSslAtExit();

}  // namespace ferry
