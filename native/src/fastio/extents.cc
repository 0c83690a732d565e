#include <algorithm>
#include <vector>

#include "arguments.h"
#include "async_call.h"
#include "data_ranges.h"
#include "file_calls.h"

namespace ferry {

// A flat [start, end, start, end, …]: one typed array costs less than a thousand objects.
Napi::Value Extents(Info info) {
  auto work = [fd = IntArgument(info, 0), offset = BytesArgument(info, 1), length = BytesArgument(info, 2)] {
    std::vector<double> bounds;
    DataRanges ranges(fd);
    std::int64_t position = offset;
    while (const auto range = ranges.Next(position, offset + length)) {
      bounds.push_back(static_cast<double>(range->start));
      bounds.push_back(static_cast<double>(range->end));
      position = range->end;
    }
    return bounds;
  };
  return AsyncCall(info.Env(), Lane::kFast, std::move(work), [](Napi::Env env, std::vector<double>& bounds) {
    Napi::Float64Array array = Napi::Float64Array::New(env, bounds.size());
    std::copy(bounds.begin(), bounds.end(), array.Data());
    return array;
  });
}

}  // namespace ferry
