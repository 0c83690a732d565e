// TCP sockets by name and port. All are non-blocking and closed on exec; the caller owns what is returned.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace ferry {

// Tries one address after the other; `is_cancelled` is asked a few times a second.
int ConnectTo(const std::string& host, std::uint16_t port, std::chrono::steady_clock::time_point deadline,
              const std::function<bool()>& is_cancelled);

int ListenAt(const std::string& host, std::uint16_t port);
std::uint16_t PortOf(int listening);
// Small frames leave at once.
void SendSmallFramesAtOnce(int connected);

}  // namespace ferry
