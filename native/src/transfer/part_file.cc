#include "part_file.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "file_leaves.h"
#include "sparse_write.h"
#include "system_call.h"

namespace ferry {

namespace {

constexpr std::uint8_t kDataRecord = 2;
constexpr std::uint8_t kZeroRecord = 3;
constexpr std::size_t kRecordHeadBytes = 13;
constexpr std::int64_t kRecordLeaves = 4096;

// Leaves that are not what they should be: another digest, missing, or something where zeros belong.
std::vector<std::int64_t> Differences(const DataLeaves& expected, const DataLeaves& found) {
  std::vector<std::int64_t> wrong;
  std::size_t e = 0;
  std::size_t f = 0;
  while (e < expected.leaves.size() || f < found.leaves.size()) {
    const bool is_missing = f == found.leaves.size() || (e < expected.leaves.size() && expected.leaves[e] < found.leaves[f]);
    const bool is_extra = e == expected.leaves.size() || (f < found.leaves.size() && found.leaves[f] < expected.leaves[e]);
    if (is_missing) wrong.push_back(expected.leaves[e++]);
    else if (is_extra) wrong.push_back(found.leaves[f++]);
    else if (expected.digests[e++] != found.digests[f++]) wrong.push_back(expected.leaves[e - 1]);
  }
  return wrong;
}

void PutNumber(std::uint8_t* into, std::int64_t number) {
  const std::uint32_t little = htole32(static_cast<std::uint32_t>(number));
  memcpy(into, &little, sizeof(little));
}

}  // namespace

PartFile::PartFile(Files files, std::shared_ptr<DigestTree> verified, std::shared_ptr<DigestTree> older,
                   ReadBack read_back)
    : files_(files),
      verified_(std::move(verified)),
      older_(std::move(older)),
      read_back_(read_back),
      journal_end_(files.journal_end) {}

void PartFile::Write(std::int64_t offset, const std::uint8_t* bytes, std::size_t length, bool clear) {
  if (clear || older_) Clear({offset / kLeafBytes, 1});
  WriteNonZero(files_.fd, bytes, length, offset);
}

void PartFile::Clear(LeafRange range) {
  const std::int64_t offset = range.first * kLeafBytes;
  const std::int64_t length = std::min(range.count * kLeafBytes, verified_->size_bytes() - offset);
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  CheckedCall("fallocate", Uninterrupted([&] { return fallocate(files_.fd, mode, offset, length); }));
}

std::vector<std::int64_t> PartFile::Verify(const SealedSegment& segment) {
  CheckedCall("fdatasync", Uninterrupted([&] { return fdatasync(files_.fd); }));
  if (before_read_back) before_read_back(segment.range);
  std::vector<std::int64_t> wrong;
  if (read_back_ != ReadBack::kNone) wrong = Differences(segment.expected, ReadBackOf(segment));
  Record(segment, wrong);
  return wrong;
}

bool PartFile::MayResend(std::int64_t leaf) {
  std::lock_guard<std::mutex> guard(journal_);
  asked_again++;
  return suspects_.insert(leaf).second;
}

DataLeaves PartFile::ReadBackOf(const SealedSegment& segment) {
  const bool direct = read_back_ == ReadBack::kDirect;
  LeafReader reader(files_.fd, direct, verified_->algorithm(), verified_->size_bytes());
  DataLeaves found;
  const auto add = [&](std::int64_t leaf, const Digest& digest, const std::uint8_t*) { found.Add(leaf, digest); };
  for (const auto& [content, range] : segment.runs) {
    if (content == Content::kSame) continue;  // was read back when it was written
    if (!direct) posix_fadvise(files_.fd, range.first * kLeafBytes, range.count * kLeafBytes, POSIX_FADV_DONTNEED);
    if (content == Content::kData) reader.ReadAll(range, add);
    else reader.Read(range, add);
  }
  return found;
}

// The data is durable; when this returns the journal is, too.
void PartFile::Record(const SealedSegment& segment, const std::vector<std::int64_t>& wrong) {
  std::lock_guard<std::mutex> guard(journal_);
  for (const ContentRun& run : segment.runs) {
    std::int64_t first = run.range.first;
    for (const std::int64_t leaf : wrong) {
      if (leaf < first || leaf >= run.range.end()) continue;
      RecordRun(segment, {run.content, {first, leaf - first}});
      first = leaf + 1;
    }
    RecordRun(segment, {run.content, {first, run.range.end() - first}});
  }
  CheckedCall("fdatasync", Uninterrupted([&] { return fdatasync(files_.journal_fd); }));
}

void PartFile::RecordRun(const SealedSegment& segment, const ContentRun& run) {
  if (run.range.count == 0) return;
  if (run.content == Content::kZero) return RecordZero(run.range);
  if (run.content == Content::kSame) return RecordOlder(run.range);
  const auto& leaves = segment.expected.leaves;
  const auto index = std::lower_bound(leaves.begin(), leaves.end(), run.range.first) - leaves.begin();
  RecordData(run.range, &segment.expected.digests[static_cast<std::size_t>(index)]);
}

void PartFile::RecordOlder(LeafRange range) {
  while (range.count > 0) {
    const LeafRun run = older_->RunFrom(range.first, range.count);
    if (run.state == LeafState::kZero) RecordZero(run);
    else RecordData(run, older_->DigestsOf(run).data());
    range = {run.end(), range.count - run.count};
  }
}

void PartFile::RecordData(LeafRange range, const Digest* digests) {
  for (std::int64_t done = 0; done < range.count; done += kRecordLeaves) {
    const LeafRange part{range.first + done, std::min(kRecordLeaves, range.count - done)};
    Append(kDataRecord, part, digests + done);
  }
  for (std::int64_t index = 0; index < range.count; index++) verified_->Set(range.first + index, digests[index]);
}

void PartFile::RecordZero(LeafRange range) {
  Append(kZeroRecord, range, nullptr);
  verified_->SetZero(range);
}

void PartFile::Append(std::uint8_t kind, LeafRange range, const Digest* digests) {
  const std::size_t body_bytes = digests != nullptr ? static_cast<std::size_t>(range.count) * kDigestBytes : 0;
  std::vector<std::uint8_t> record(kRecordHeadBytes + body_bytes + sizeof(std::uint32_t));
  record[0] = kind;
  PutNumber(&record[1], range.first);
  PutNumber(&record[5], range.count);
  PutNumber(&record[9], static_cast<std::int64_t>(body_bytes));
  if (body_bytes > 0) memcpy(&record[kRecordHeadBytes], digests, body_bytes);
  const std::size_t end = kRecordHeadBytes + body_bytes;
  PutNumber(&record[end], static_cast<std::int64_t>(crc32(0, record.data(), static_cast<uInt>(end))));
  WriteFully(files_.journal_fd, record.data(), record.size(), journal_end_);
  journal_end_ += static_cast<std::int64_t>(record.size());
}

}  // namespace ferry
