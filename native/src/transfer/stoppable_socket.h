// A connected socket with blocking reads and writes that end at once when somebody stops them.
//
//   open ─ Stop() → stopping: readers give up, writers finish ─ Sever() → severed: nothing moves any more
//
// One thread may receive while another sends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "system_call.h"

namespace ferry {

using Clock = std::chrono::steady_clock;

class StoppableSocket {
 public:
  StoppableSocket();
  StoppableSocket(const StoppableSocket&) = delete;
  StoppableSocket& operator=(const StoppableSocket&) = delete;

  // Once, before anything is received or sent: a socket that is connected or was accepted, which is its own from now on.
  void Open(int connected);
  // Until it is lifted, what waits longer throws.
  void SetDeadline(std::optional<Clock::time_point> deadline) { deadline_ = deadline; }

  // At least one byte, or 0 when the peer has closed.
  std::size_t Receive(std::uint8_t* into, std::size_t room);
  // Whether something has come, or nothing will any more.
  bool HasInput();
  // All of it.
  void Send(const std::uint8_t* bytes, std::size_t length);
  // Nothing more will be sent.
  void FinishSending();
  // Throws away what still comes until the peer has closed or the deadline has come.
  void Discard(Clock::time_point deadline);

  void Stop();
  void Sever();
  // Makes the reader give up, now or next time; writers go on.
  void WakeReader();
  bool is_stopping() const { return state_ != State::kOpen; }
  bool is_severed() const { return state_ == State::kSevered; }
  void ThrowIfSevered() const;

  // How long writers have waited for room, altogether.
  std::chrono::nanoseconds WaitedForRoom() const { return std::chrono::nanoseconds(waited_for_room_ns_); }
  // How long somebody has waited for the peer: a reader for bytes, or a writer for room while the peer said nothing
  // either; 0 while nobody does.
  std::chrono::milliseconds SilentFor() const;

 private:
  enum class State { kOpen, kStopping, kSevered };
  enum class Await { kRead, kWrite };

  void Wait(Await what);
  void NoteLifeSigns();

  std::mutex opening_;  // guards `socket_` against Sever while it is being opened
  std::optional<Descriptor> socket_;
  const Descriptor wake_;
  std::atomic<State> state_{State::kOpen};
  std::atomic<bool> reader_woken_{false};
  std::optional<Clock::time_point> deadline_;
  std::atomic<Clock::rep> waiting_since_{0};  // the reader
  std::atomic<std::int64_t> waited_for_room_ns_{0};
  std::atomic<Clock::rep> blocked_since_{0};  // the writer
  int unread_bytes_ = 0;                      // when the writer last looked
};

}  // namespace ferry
