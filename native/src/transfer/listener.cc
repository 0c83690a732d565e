#include "listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "quiet_thread.h"
#include "sockets.h"
#include "transfer_failure.h"
#include "worker_pool.h"

namespace ferry {

Listener::Listener(OnConnection on_connection, OnRefused on_refused)
    : on_connection_(std::move(on_connection)),
      on_refused_(std::move(on_refused)),
      wake_(CheckedCall("eventfd", eventfd(0, EFD_CLOEXEC))) {}

std::uint16_t Listener::Listen(const std::string& host, std::uint16_t port, Limits limits, TlsContext context) {
  SetTls(std::move(context));
  limits_ = limits;
  socket_.emplace(ListenAt(host, port));
  const std::uint16_t bound = PortOf(socket_->get());
  StartQuietThread("ferry-accept", [self = shared_from_this()] { self->AcceptUntilClosed(); });
  return bound;
}

void Listener::SetTls(TlsContext context) {
  std::lock_guard<std::mutex> guard(mutex_);
  context_ = std::move(context);
}

void Listener::Close() {
  is_closed_ = true;
  eventfd_write(wake_.get(), 1);
  std::lock_guard<std::mutex> guard(mutex_);
  for (const auto& connection : shaking_hands_) connection->Sever();
}

void Listener::AcceptUntilClosed() {
  while (!is_closed_) {
    pollfd waiting[] = {{socket_->get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) <= 0 || is_closed_) continue;
    const int socket = accept4(socket_->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) Welcome(socket);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) poll(nullptr, 0, 100);  // out of descriptors
  }
  socket_.reset();
}

void Listener::Welcome(int socket) {
  Descriptor owned(socket);
  if (*open_ >= limits_.connections) return;
  ++*open_;
  std::shared_ptr<Connection> connection;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    connection = std::make_shared<Connection>(context_, [open = open_] { --*open; });
    shaking_hands_.insert(connection);
  }
  WorkerPool::Get().Post(Lane::kSlow, [self = shared_from_this(), connection, fd = owned.Release()] {
    self->Handshake(connection, fd);
  });
}

void Listener::Handshake(const std::shared_ptr<Connection>& connection, int socket) {
  std::exception_ptr failure;
  try {
    connection->Accept(socket, limits_.handshake);
  } catch (...) {
    failure = std::current_exception();
  }
  {
    std::lock_guard<std::mutex> guard(mutex_);
    shaking_hands_.erase(connection);
  }
  if (is_closed_) return;
  if (failure) on_refused_(failure);
  else on_connection_(connection);
}

}  // namespace ferry
