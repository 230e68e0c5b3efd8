#pragma once
// Golden records: graphs with the results that TensorFlow gave for them, as tensorflow.Examples in TFRecord files (the
// formats stand in docs/golden-data.md). Reads them, runs them, compares.

#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace tensorflow {
class Example;
}

namespace millrace {

// One record of a golden file.
class GoldenRecord {
 public:
  static absl::StatusOr<GoldenRecord> parse(const std::string& bytes);
  ~GoldenRecord();
  GoldenRecord(GoldenRecord&&) noexcept;
  GoldenRecord& operator=(GoldenRecord&&) noexcept;

  bool has(const std::string& feature) const;
  std::string text(const std::string& feature) const;  // empty if absent
  std::vector<std::string> texts(const std::string& feature) const;
  float number(const std::string& feature, float otherwise = 0) const;
  int64_t integer(const std::string& feature, int64_t otherwise = 0) const;
  std::vector<int64_t> integers(const std::string& feature) const;
  absl::StatusOr<std::vector<Tensor>> tensors(const std::string& feature) const;

 private:
  GoldenRecord();
  std::unique_ptr<tensorflow::Example> example_;
};

// All records of a file.
absl::StatusOr<std::vector<GoldenRecord>> read_golden_file(const std::string& path);

// OK if dtype, shape and all elements agree: |got - expected| <= atol + rtol * |expected|, NaN equal to NaN; else what
// differs.
absl::Status compare_tensors(const Tensor& got, const Tensor& expected, double rtol, double atol);

// The same for whole lists; `names` are what the values are called in the message.
absl::Status compare_all(const std::vector<Tensor>& got, const std::vector<Tensor>& expected,
                         const std::vector<std::string>& names, double rtol, double atol);

}  // namespace millrace
