// Hashing a file's leaves where it lies: holes are known to be zero and cost nothing, data is read in pieces of a
// fixed size, past the page cache when asked.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>

#include "arguments.h"
#include "async_call.h"
#include "data_ranges.h"
#include "file_calls.h"
#include "leaf_digests.h"
#include "system_call.h"

namespace ferry {

namespace {

// Enough for every device that reads in blocks of 512 or 4096 bytes; `direct` needs leaves of whole blocks.
constexpr std::int64_t kAlignment = 4096;
constexpr std::int64_t kReadBytes = 4 << 20;
constexpr std::int64_t kMaxLeafBytes = 64 << 20;

struct Request {
  std::string path;
  std::int64_t offset;
  std::int64_t length;
  std::int64_t leaf_bytes;
  bool direct;
};

struct Answer {
  LeafDigests leaves;
  std::int64_t bytes_read;
};

struct FreeMemory {
  void operator()(std::uint8_t* memory) const { free(memory); }
};
using AlignedBuffer = std::unique_ptr<std::uint8_t, FreeMemory>;

std::int64_t RoundUp(std::int64_t value, std::int64_t unit) { return (value + unit - 1) / unit * unit; }

AlignedBuffer MakeBuffer(std::int64_t size) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, static_cast<std::size_t>(size)) != 0) throw std::bad_alloc();
  return AlignedBuffer(static_cast<std::uint8_t*>(memory));
}

void Validate(const Request& request, int fd) {
  const bool aligned = request.offset % kAlignment == 0 && request.leaf_bytes % kAlignment == 0;
  if (request.leaf_bytes < 1 || request.leaf_bytes > kMaxLeafBytes || (request.direct && !aligned)) {
    throw SystemFailure(EINVAL, "read", request.path);
  }
  // A hole and a missing tail look alike to SEEK_DATA: only what the file really has may count as zero.
  const std::int64_t size = CheckedCall("lseek", static_cast<std::int64_t>(lseek(fd, 0, SEEK_END)), request.path);
  if (request.offset + request.length > size) throw SystemFailure(ENODATA, "read", request.path);
}

// Reads [start, start + wanted) completely. A direct read asks for whole blocks, so it may bring more.
void ReadFully(const Request& request, int fd, std::uint8_t* into, std::int64_t start, std::int64_t wanted) {
  const std::int64_t asked = request.direct ? RoundUp(wanted, kAlignment) : wanted;
  std::int64_t got = 0;
  while (got < wanted) {
    const ssize_t count = CheckedCall(
        "read", Uninterrupted([&] { return pread(fd, into + got, asked - got, start + got); }), request.path);
    if (count == 0) throw SystemFailure(ENODATA, "read", request.path);  // truncated behind our back
    got += count;
  }
}

Answer Hash(const Request& request) {
  const int flags = O_RDONLY | O_CLOEXEC | (request.direct ? O_DIRECT : 0);
  const Descriptor file(CheckedCall("open", open(request.path.c_str(), flags), request.path));
  Validate(request, file.get());
  Answer answer{LeafDigests(request.length, request.leaf_bytes), 0};
  const std::int64_t leaves_per_read = std::max<std::int64_t>(1, kReadBytes / request.leaf_bytes);
  const std::int64_t read_bytes = leaves_per_read * request.leaf_bytes;
  const AlignedBuffer buffer = MakeBuffer(RoundUp(read_bytes, kAlignment));
  const std::int64_t end = request.offset + request.length;
  std::int64_t position = request.offset;
  while (const auto data = NextData(file.get(), position, end)) {
    // Whole leaves around the data: the holes inside them read as the zeros they are.
    const std::int64_t first_leaf = (data->start - request.offset) / request.leaf_bytes;
    position = request.offset + first_leaf * request.leaf_bytes;
    const std::int64_t data_end =
        std::min(end, request.offset + RoundUp(data->end - request.offset, request.leaf_bytes));
    while (position < data_end) {
      const std::int64_t wanted = std::min(read_bytes, data_end - position);
      ReadFully(request, file.get(), buffer.get(), position, wanted);
      answer.leaves.Add(static_cast<std::size_t>((position - request.offset) / request.leaf_bytes), buffer.get(),
                        static_cast<std::size_t>(wanted));
      answer.bytes_read += wanted;
      position += wanted;
    }
  }
  return answer;
}

void SetLeaves(Napi::Env env, Napi::Object object, const LeafDigests& leaves) {
  object.Set("digests", Napi::Buffer<std::uint8_t>::Copy(env, leaves.digests.data(), leaves.digests.size()));
  object.Set("zero", Napi::Buffer<std::uint8_t>::Copy(env, leaves.zero.data(), leaves.zero.size()));
}

Napi::Uint8Array BytesOf(Info info, std::size_t index) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + " must be a Uint8Array");
  }
  return info[index].As<Napi::Uint8Array>();
}

}  // namespace

Napi::Value HashLeaves(Info info) {
  auto work = [request = Request{StringArgument(info, 0), BytesArgument(info, 1), BytesArgument(info, 2),
                                 BytesArgument(info, 3), BooleanArgument(info, 4)}] { return Hash(request); };
  return AsyncCall(info.Env(), Lane::kSlow, std::move(work), [](Napi::Env env, Answer& answer) {
    Napi::Object object = Napi::Object::New(env);
    SetLeaves(env, object, answer.leaves);
    object.Set("bytesRead", static_cast<double>(answer.bytes_read));
    return object;
  });
}

// Works on a copy: JavaScript may change or drop the buffer while a worker reads. A copy costs a fraction of a hash.
Napi::Value HashBufferLeaves(Info info) {
  const Napi::Uint8Array given = BytesOf(info, 0);
  const std::int64_t leaf_bytes = BytesArgument(info, 1);
  if (leaf_bytes < 1) throw Napi::RangeError::New(info.Env(), "a leaf has at least one byte");
  auto work = [bytes = std::string(reinterpret_cast<const char*>(given.Data()), given.ByteLength()), leaf_bytes] {
    LeafDigests leaves(static_cast<std::int64_t>(bytes.size()), leaf_bytes);
    leaves.Add(0, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    return leaves;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, LeafDigests& leaves) {
    Napi::Object object = Napi::Object::New(env);
    SetLeaves(env, object, leaves);
    return object;
  });
}

Napi::Value IsZero(Info info) {
  const Napi::Uint8Array bytes = BytesOf(info, 0);
  return Napi::Boolean::New(info.Env(), AllZero(bytes.Data(), bytes.ByteLength()));
}

}  // namespace ferry
