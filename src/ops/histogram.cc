#include "ops/histogram.h"

#include <algorithm>
#include <bit>

#include "base/wire.h"

namespace millrace {
namespace {

const std::vector<double>& limits() {
  static const std::vector<double>* const all = [] {
    std::vector<double> positive;
    for (double v = 1.0e-12; v < 1.0e20; v *= 1.1) positive.push_back(v);
    positive.push_back(DBL_MAX);
    auto* result = new std::vector<double>;
    for (auto it = positive.rbegin(); it != positive.rend(); ++it) result->push_back(-*it);
    result->push_back(0.0);
    result->insert(result->end(), positive.begin(), positive.end());
    return result;
  }();
  return *all;
}

// A field that has its default value is left out.
void append_nonzero(std::string& out, uint32_t field, double value) {
  if (std::bit_cast<uint64_t>(value) != 0) append_double_field(out, field, value);
}

}  // namespace

Histogram::Histogram() : buckets_(limits().size(), 0.0) {}

void Histogram::add(double value) {
  const auto bucket = static_cast<size_t>(std::upper_bound(limits().begin(), limits().end(), value) - limits().begin());
  buckets_[std::min(bucket, buckets_.size() - 1)] += 1;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  num_ += 1;
  sum_ += value;
  sum_squares_ += value * value;
}

std::string Histogram::serialized() const {
  std::string bucket_limits, buckets, out;
  const auto add = [&](double limit, double count) {
    append_fixed64(bucket_limits, std::bit_cast<uint64_t>(limit));
    append_fixed64(buckets, std::bit_cast<uint64_t>(count));
  };
  for (size_t i = 0; i < buckets_.size();) {
    size_t last = i;
    if (buckets_[i] <= 0)
      while (last + 1 < buckets_.size() && buckets_[last + 1] <= 0) ++last;
    add(limits()[last], buckets_[last]);
    i = last + 1;
  }
  append_nonzero(out, 1, min_);
  append_nonzero(out, 2, max_);
  append_nonzero(out, 3, num_);
  append_nonzero(out, 4, sum_);
  append_nonzero(out, 5, sum_squares_);
  append_bytes_field(out, 6, bucket_limits);
  append_bytes_field(out, 7, buckets);
  return out;
}

}  // namespace millrace
