// sd_notify: one datagram to the service manager. Node has no unix datagram sockets.
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>

#include "arguments.h"
#include "async_call.h"
#include "file_calls.h"
#include "system_call.h"

namespace ferry {

namespace {

void Send(const std::string& path, const std::string& message) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) throw SystemFailure(EINVAL, "sendto", path);
  memcpy(address.sun_path, path.data(), path.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const auto length = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size());
  const Descriptor socket_fd(CheckedCall("socket", socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  CheckedCall("sendto", Uninterrupted([&] {
                return sendto(socket_fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const struct sockaddr*>(&address), length);
              }),
              path);
}

}  // namespace

Napi::Value Notify(Info info) {
  auto work = [path = StringArgument(info, 0), message = StringArgument(info, 1)] { Send(path, message); };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work));
}

}  // namespace ferry
