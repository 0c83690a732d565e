#include "stoppable_socket.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "transfer_failure.h"

namespace ferry {

namespace {

constexpr int kStoppedPollMs = 50;
constexpr int kLifeSignPollMs = 50;

Clock::rep Now() { return Clock::now().time_since_epoch().count(); }

}  // namespace

StoppableSocket::StoppableSocket() : wake_(CheckedCall("eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}

void StoppableSocket::Open(int connected) {
  std::lock_guard<std::mutex> guard(opening_);
  socket_.emplace(connected);
  ThrowIfSevered();
}

std::size_t StoppableSocket::Receive(std::uint8_t* into, std::size_t room) {
  for (;;) {
    const ssize_t count = Uninterrupted([&] { return recv(socket_->get(), into, room, MSG_DONTWAIT); });
    if (count == 0) ThrowIfSevered();
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EAGAIN) throw LostFailure(std::string("receive: ") + strerrordesc_np(errno));
    waiting_since_ = Now();
    try {
      Wait(Await::kRead);
    } catch (...) {
      waiting_since_ = 0;
      throw;
    }
    waiting_since_ = 0;
  }
}

bool StoppableSocket::HasInput() {
  std::uint8_t byte;
  return recv(socket_->get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void StoppableSocket::Send(const std::uint8_t* bytes, std::size_t length) {
  while (length > 0) {
    const ssize_t count =
        Uninterrupted([&] { return send(socket_->get(), bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL); });
    if (count >= 0) {
      blocked_since_ = 0;
      bytes += count;
      length -= static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      const auto begun = Clock::now();
      blocked_since_ = begun.time_since_epoch().count();
      Wait(Await::kWrite);
      waited_for_room_ns_ += std::chrono::nanoseconds(Clock::now() - begun).count();
    } else {
      throw LostFailure(std::string("send: ") + strerrordesc_np(errno));
    }
  }
}

void StoppableSocket::FinishSending() { shutdown(socket_->get(), SHUT_WR); }

void StoppableSocket::Discard(Clock::time_point deadline) {
  std::uint8_t waste[16 << 10];
  while (!is_severed() && Clock::now() < deadline) {
    pollfd waiting{socket_->get(), POLLIN, 0};
    if (poll(&waiting, 1, kStoppedPollMs) <= 0) continue;
    if (recv(socket_->get(), waste, sizeof(waste), MSG_DONTWAIT) == 0) return;
    if (errno != EAGAIN && errno != EINTR && (waiting.revents & POLLIN) == 0) return;
  }
}

void StoppableSocket::Stop() {
  State open = State::kOpen;
  state_.compare_exchange_strong(open, State::kStopping);
  eventfd_write(wake_.get(), 1);
}

void StoppableSocket::Sever() {
  state_ = State::kSevered;
  eventfd_write(wake_.get(), 1);
  std::lock_guard<std::mutex> guard(opening_);
  if (socket_) shutdown(socket_->get(), SHUT_RDWR);
}

void StoppableSocket::WakeReader() {
  reader_woken_ = true;
  eventfd_write(wake_.get(), 1);
}

void StoppableSocket::ThrowIfSevered() const {
  if (is_severed()) throw StoppedFailure();
}

std::chrono::milliseconds StoppableSocket::SilentFor() const {
  Clock::duration longest{0};
  for (const Clock::rep since : {waiting_since_.load(), blocked_since_.load()}) {
    if (since != 0) longest = std::max(longest, Clock::now().time_since_epoch() - Clock::duration(since));
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(longest);
}

void StoppableSocket::Wait(Await what) {
  const bool reads = what == Await::kRead;
  const auto events = static_cast<short>(reads ? POLLIN : POLLOUT);
  for (;;) {
    if (is_severed() || (reads && (is_stopping() || reader_woken_))) throw StoppedFailure();
    int timeout_ms = -1;
    if (deadline_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - Clock::now());
      if (left.count() <= 0) throw TimeoutFailure("no answer");
      timeout_ms = static_cast<int>(left.count()) + 1;
    }
    pollfd waiting[] = {{socket_->get(), events, 0}, {wake_.get(), POLLIN, 0}};
    // Once woken the event stays: a writer that is to finish only looks at the socket.
    const bool finishing = !reads && (is_stopping() || reader_woken_);
    if (!reads && !finishing && timeout_ms < 0) timeout_ms = kLifeSignPollMs;
    const int ready = poll(waiting, finishing ? 1 : 2, finishing ? kStoppedPollMs : timeout_ms);
    if (ready > 0 && waiting[0].revents != 0) return;
    if (!reads) NoteLifeSigns();
  }
}

// A peer that takes nothing but sends its pings is slow, not gone. Nobody reads them while the source is blocked: it is
// their piling up that tells.
void StoppableSocket::NoteLifeSigns() {
  int unread_bytes = 0;
  if (ioctl(socket_->get(), FIONREAD, &unread_bytes) != 0 || unread_bytes == unread_bytes_) return;
  unread_bytes_ = unread_bytes;
  blocked_since_ = Now();
}

}  // namespace ferry
