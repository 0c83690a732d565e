// What ends a connection or a copy, for the TypeScript above to turn into a fault: a code, a sentence, and where.
#pragma once

#include <string>
#include <vector>

#include "failure.h"

namespace ferry {

class TransferFailure : public Failure {
 public:
  TransferFailure(const char* code, std::string message) : code_(code), message_(std::move(message)) {}
  Napi::Value ToJs(Napi::Env env) const override;

 protected:
  virtual void AddTo(Napi::Env env, Napi::Object error) const {}

 private:
  const char* code_;
  std::string message_;
};

// The peer broke the rules of the wire.
struct ProtocolFailure final : TransferFailure {
  explicit ProtocolFailure(std::string message) : TransferFailure("ERR_TRANSFER_PROTOCOL", std::move(message)) {}
};

// The connection did not come to be or was lost: trying again may help.
struct LostFailure final : TransferFailure {
  explicit LostFailure(std::string message) : TransferFailure("ERR_TRANSFER_LOST", std::move(message)) {}
};

struct TimeoutFailure final : TransferFailure {
  explicit TimeoutFailure(std::string message) : TransferFailure("ERR_TRANSFER_TIMEOUT", std::move(message)) {}
};

// The peer's certificate is not of our authority.
struct IdentityFailure final : TransferFailure {
  explicit IdentityFailure(std::string message) : TransferFailure("ERR_TRANSFER_IDENTITY", std::move(message)) {}
};

// Our own side ended the connection; why is known there.
struct StoppedFailure final : TransferFailure {
  StoppedFailure() : TransferFailure("ERR_TRANSFER_STOPPED", "the connection was ended") {}
};

// An error frame: `payload` is its content.
class PeerFailure final : public TransferFailure {
 public:
  explicit PeerFailure(std::vector<std::uint8_t> payload)
      : TransferFailure("ERR_TRANSFER_PEER", "the peer refused"), payload_(std::move(payload)) {}

 private:
  void AddTo(Napi::Env env, Napi::Object error) const override;
  std::vector<std::uint8_t> payload_;
};

// What was read back is not what was sent: `file`, `offset` of the first leaf, and how many in its segment.
class CorruptFailure final : public TransferFailure {
 public:
  CorruptFailure(int file, std::int64_t offset, std::size_t leaves)
      : TransferFailure("ERR_TRANSFER_CORRUPT", "what was read back is not what the source read"),
        file_(file),
        offset_(offset),
        leaves_(leaves) {}

 private:
  void AddTo(Napi::Env env, Napi::Object error) const override;
  int file_;
  std::int64_t offset_;
  std::size_t leaves_;
};

// A system call on a disk file failed: the system's own error with `file`, `offset` and `length`.
class DiskFailure final : public Failure {
 public:
  DiskFailure(const SystemFailure& cause, int file, std::int64_t offset, std::int64_t length)
      : cause_(cause), file_(file), offset_(offset), length_(length) {}
  Napi::Value ToJs(Napi::Env env) const override;

 private:
  SystemFailure cause_;
  int file_;
  std::int64_t offset_;
  std::int64_t length_;
};

// Adds where it was to whatever a system call on the file says.
template <class Work>
auto AtDisk(int file, std::int64_t offset, std::int64_t length, Work work) {
  try {
    return work();
  } catch (const SystemFailure& failure) {
    throw DiskFailure(failure, file, offset, length);
  }
}

}  // namespace ferry
