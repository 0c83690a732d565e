#include "sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <memory>

#include "system_call.h"
#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr int kPollMs = 100;
constexpr int kBacklog = 128;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses Resolve(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failure = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failure != 0) throw LostFailure("resolve " + host + ": " + gai_strerror(failure));
  return Addresses(list);
}

int MakeSocket(const addrinfo& address) {
  return CheckedCall("socket", socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// 0, or the errno of the attempt.
int AwaitConnection(int fd, std::chrono::steady_clock::time_point deadline,
                    const std::function<bool()>& is_cancelled) {
  for (;;) {
    if (is_cancelled()) throw StoppedFailure();
    if (std::chrono::steady_clock::now() > deadline) return ETIMEDOUT;
    pollfd waiting{fd, POLLOUT, 0};
    if (poll(&waiting, 1, kPollMs) <= 0) continue;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  }
}

}  // namespace

int ConnectTo(const std::string& host, std::uint16_t port, std::chrono::steady_clock::time_point deadline,
              const std::function<bool()>& is_cancelled) {
  int error = 0;
  const Addresses addresses = Resolve(host, port, 0);
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    Descriptor fd(MakeSocket(*address));
    const int begun = connect(fd.get(), address->ai_addr, address->ai_addrlen);
    error = begun == 0 ? 0 : errno;
    if (error == EINPROGRESS) error = AwaitConnection(fd.get(), deadline, is_cancelled);
    if (error == 0) return fd.Release();
  }
  if (error == ETIMEDOUT) throw TimeoutFailure("no answer");
  throw LostFailure(std::string("connect: ") + strerrordesc_np(error));
}

int ListenAt(const std::string& host, std::uint16_t port) {
  const Addresses addresses = Resolve(host, port, AI_PASSIVE);
  Descriptor fd(MakeSocket(*addresses));
  const int yes = 1;
  CheckedCall("setsockopt", setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)));
  CheckedCall("bind", bind(fd.get(), addresses->ai_addr, addresses->ai_addrlen));
  CheckedCall("listen", listen(fd.get(), kBacklog));
  return fd.Release();
}

std::uint16_t PortOf(int listening) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  CheckedCall("getsockname", getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size));
  const bool is_v6 = address.ss_family == AF_INET6;
  return ntohs(is_v6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                     : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

void SendSmallFramesAtOnce(int connected) {
  const int yes = 1;
  setsockopt(connected, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

}  // namespace ferry
