// Accepts connections on one port, with a thread of its own, until it is closed.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "connection.h"

namespace ferry {

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  struct Limits {
    int connections;
    std::chrono::milliseconds handshake;
  };
  using OnConnection = std::function<void(std::shared_ptr<Connection>)>;
  using OnRefused = std::function<void(std::exception_ptr)>;

  // Called on workers.
  Listener(OnConnection on_connection, OnRefused on_refused);

  // Answers the port.
  std::uint16_t Listen(const std::string& host, std::uint16_t port, Limits limits, TlsContext context);
  // Counts from the next connection on.
  void SetTls(TlsContext context);
  void Close();

 private:
  void AcceptUntilClosed();
  void Welcome(int socket);
  void Handshake(const std::shared_ptr<Connection>& connection, int socket);

  const OnConnection on_connection_;
  const OnRefused on_refused_;
  const Descriptor wake_;
  std::optional<Descriptor> socket_;
  Limits limits_{};
  std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
  std::atomic<bool> is_closed_{false};

  std::mutex mutex_;  // guards what follows
  TlsContext context_;
  std::set<std::shared_ptr<Connection>> shaking_hands_;
};

}  // namespace ferry
