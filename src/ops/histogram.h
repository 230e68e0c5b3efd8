#pragma once
// TensorFlow's default histogram: buckets that grow by a tenth from 1e-12 to 1e20, on both sides of zero.

#include <cfloat>
#include <string>
#include <vector>

namespace millrace {

class Histogram {
 public:
  Histogram();
  void add(double value);  // finite
  // A tensorflow.HistogramProto; runs of empty buckets are one bucket.
  std::string serialized() const;

 private:
  double min_ = DBL_MAX, max_ = -DBL_MAX, num_ = 0, sum_ = 0, sum_squares_ = 0;
  std::vector<double> buckets_;  // bucket i: values below limit i and not below limit i - 1
};

}  // namespace millrace
