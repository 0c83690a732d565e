// What has been received and not been used yet, in one piece: a system call brings as much as there is room for.
#pragma once

#include <string.h>

#include "aligned_buffer.h"
#include "stoppable_socket.h"

namespace ferry {

class ReceiveBuffer {
 public:
  explicit ReceiveBuffer(std::size_t room) : room_(room), bytes_(MakeAlignedBuffer(room)) {}

  const std::uint8_t* data() const { return bytes_.get() + begin_; }
  std::size_t size() const { return end_ - begin_; }
  void Drop(std::size_t count) { begin_ += count; }

  // Waits for more behind what is left; false when the peer has closed.
  bool Fill(StoppableSocket& socket) {
    memmove(bytes_.get(), data(), size());
    end_ = size();
    begin_ = 0;
    const std::size_t count = socket.Receive(bytes_.get() + end_, room_ - end_);
    end_ += count;
    return count > 0;
  }

 private:
  const std::size_t room_;
  const AlignedBuffer bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace ferry
