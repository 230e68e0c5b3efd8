#include "cli/golden.h"

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "graph/proto_convert.h"
#include "io/record_reader.h"
#include "ops/image_formats.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {

GoldenRecord::GoldenRecord() : example_(std::make_unique<tensorflow::Example>()) {}
GoldenRecord::~GoldenRecord() = default;
GoldenRecord::GoldenRecord(GoldenRecord&&) noexcept = default;
GoldenRecord& GoldenRecord::operator=(GoldenRecord&&) noexcept = default;

absl::StatusOr<GoldenRecord> GoldenRecord::parse(const std::string& bytes) {
  GoldenRecord record;
  if (!record.example_->ParseFromString(bytes)) return data_loss("a golden record is no tensorflow.Example");
  return record;
}

bool GoldenRecord::has(const std::string& feature) const { return example_->features().feature().contains(feature); }

std::vector<std::string> GoldenRecord::texts(const std::string& feature) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  if (it == all.end()) return {};
  const auto& values = it->second.bytes_list().value();
  return {values.begin(), values.end()};
}

std::string GoldenRecord::text(const std::string& feature) const {
  const std::vector<std::string> all = texts(feature);
  return all.empty() ? "" : all[0];
}

float GoldenRecord::number(const std::string& feature, float otherwise) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  return it == all.end() || it->second.float_list().value().empty() ? otherwise : it->second.float_list().value(0);
}

int64_t GoldenRecord::integer(const std::string& feature, int64_t otherwise) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  return it == all.end() || it->second.int64_list().value().empty() ? otherwise : it->second.int64_list().value(0);
}

std::vector<int64_t> GoldenRecord::integers(const std::string& feature) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  if (it == all.end()) return {};
  const auto& values = it->second.int64_list().value();
  return {values.begin(), values.end()};
}

absl::StatusOr<std::vector<Tensor>> GoldenRecord::tensors(const std::string& feature) const {
  std::vector<Tensor> out;
  for (const std::string& bytes : texts(feature)) {
    tensorflow::TensorProto proto;
    if (!proto.ParseFromString(bytes)) return data_loss("'", feature, "' holds no TensorProto");
    MR_ASSIGN_OR_RETURN(Tensor t, from_proto(proto));
    out.push_back(std::move(t));
  }
  return out;
}

absl::StatusOr<std::vector<GoldenRecord>> read_golden_file(const std::string& path) {
  MR_ASSIGN_OR_RETURN(const auto reader, RecordReader::open(path));
  std::vector<GoldenRecord> records;
  std::string bytes;
  while (true) {
    MR_ASSIGN_OR_RETURN(const bool more, reader->read(bytes));
    if (!more) return records;
    MR_ASSIGN_OR_RETURN(GoldenRecord record, GoldenRecord::parse(bytes));
    records.push_back(std::move(record));
  }
}

namespace {

bool close_enough(double got, double expected, double rtol, double atol) {
  if (std::isnan(got) || std::isnan(expected)) return std::isnan(got) && std::isnan(expected);
  if (std::isinf(got) || std::isinf(expected)) return got == expected;
  return std::abs(got - expected) <= atol + rtol * std::abs(expected);
}

// numpy drops the NUL bytes at the end of a string, and with them the makers of golden files lost those of their
// values.
std::string_view without_trailing_nuls(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\0') + 1);
}

// The pixels of a PNG file, with its size in front; empty where it cannot be read.
std::string png_pixels(const std::string& file) {
  std::string pixels, size_text;
  const absl::Status read = decode_png(file, 0, 8, [&](const ImageSize& size) -> absl::StatusOr<void*> {
    size_text = str_cat(size.height, "x", size.width, "x", size.channels, ":");
    pixels.resize(static_cast<size_t>(size.height * size.width * size.channels));
    return pixels.data();
  });
  return read.ok() ? size_text + pixels : std::string();
}

// Serialized summaries with images agree in all but how their pixels are compressed, which is zlib's affair.
bool same_image_summaries(const std::string& got, const std::string& expected) {
  tensorflow::Summary a, b;
  if (!a.ParseFromString(got) || !b.ParseFromString(expected) || a.value_size() != b.value_size()) return false;
  for (int i = 0; i < a.value_size(); ++i) {
    if (!a.value(i).has_image() || !b.value(i).has_image()) continue;
    auto* x = a.mutable_value(i)->mutable_image();
    auto* y = b.mutable_value(i)->mutable_image();
    x->set_encoded_image_string(png_pixels(x->encoded_image_string()));
    y->set_encoded_image_string(png_pixels(y->encoded_image_string()));
    if (y->encoded_image_string().empty()) return false;
  }
  return a.SerializeAsString() == b.SerializeAsString();
}

template <class T> absl::Status compare_as(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  const auto a = got.unchecked<T>(), b = expected.unchecked<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    bool same;
    std::string shown;
    if constexpr (std::is_same_v<T, std::string>) {
      same = without_trailing_nuls(a[i]) == without_trailing_nuls(b[i]) || same_image_summaries(a[i], b[i]);
      if (!same)
        shown =
            str_cat("'", absl::CEscape(a[i].substr(0, 60)), "', expected '", absl::CEscape(b[i].substr(0, 60)), "'");
    } else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) {
      same = close_enough(a[i].real(), b[i].real(), rtol, atol) && close_enough(a[i].imag(), b[i].imag(), rtol, atol);
      if (!same)
        shown = absl::StrFormat("(%g,%g), expected (%g,%g)", a[i].real(), a[i].imag(), b[i].real(), b[i].imag());
    } else if constexpr (std::is_integral_v<T>) {
      same = a[i] == b[i] || close_enough(static_cast<double>(a[i]), static_cast<double>(b[i]), rtol, atol);
      if (!same) shown = str_cat(static_cast<int64_t>(a[i]), ", expected ", static_cast<int64_t>(b[i]));
    } else if constexpr (requires { a[i].value; }) {
      same = a[i].value == b[i].value || close_enough(a[i].value, b[i].value, rtol, atol);
      if (!same) shown = str_cat(static_cast<int64_t>(a[i].value), ", expected ", static_cast<int64_t>(b[i].value));
    } else {
      const auto x = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(a[i]);
      const auto y = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(b[i]);
      same = close_enough(x, y, rtol, atol);
      if (!same) shown = absl::StrFormat("%.9g, expected %.9g", static_cast<double>(x), static_cast<double>(y));
    }
    if (!same) return invalid_argument("element ", i, " is ", shown);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status compare_tensors(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  if (got.dtype() != expected.dtype()) {
    return invalid_argument("is ", dtype_name(got.dtype()), ", expected ", dtype_name(expected.dtype()));
  }
  if (!(got.shape() == expected.shape()))
    return invalid_argument("has shape ", got.shape(), ", expected ", expected.shape());
  switch (got.dtype()) {
#define MR_CASE(T) \
  case dtype_of<T>: return compare_as<T>(got, expected, rtol, atol);
    MR_CASE(float)
    MR_CASE(double)
    MR_CASE(int8_t)
    MR_CASE(int16_t)
    MR_CASE(int32_t)
    MR_CASE(int64_t)
    MR_CASE(uint8_t)
    MR_CASE(uint16_t)
    MR_CASE(uint32_t)
    MR_CASE(uint64_t)
    MR_CASE(bool)
    MR_CASE(std::string)
    MR_CASE(Complex64)
    MR_CASE(Complex128)
    MR_CASE(Half)
    MR_CASE(BFloat16)
    MR_CASE(Qint8)
    MR_CASE(Quint8)
    MR_CASE(Qint16)
    MR_CASE(Quint16)
    MR_CASE(Qint32)
#undef MR_CASE
    default: return invalid_argument("tensors of ", dtype_name(got.dtype()), " cannot be compared");
  }
}

absl::Status compare_all(const std::vector<Tensor>& got, const std::vector<Tensor>& expected,
                         const std::vector<std::string>& names, double rtol, double atol) {
  if (got.size() != expected.size()) return invalid_argument(got.size(), " results, expected ", expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (absl::Status status = compare_tensors(got[i], expected[i], rtol, atol); !status.ok()) {
      return annotate(status, i < names.size() ? names[i] : str_cat("result ", i));
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
