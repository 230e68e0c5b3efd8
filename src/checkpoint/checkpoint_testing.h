#pragma once
// For tests of this layer: TensorFlow's checkpoints in tests/data and what they hold.

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "base/status.h"
#include "io/record_reader.h"
#include "millrace/tensor.h"
#include "tensor/tensor.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace::testing {

inline const std::string kCheckpoints = MILLRACE_SOURCE_DIR "/tests/data/checkpoints/";

template <class T, class Values, class Convert>
void fill_values(Tensor& tensor, const Values& values, Convert convert) {
  auto out = tensor.unchecked_mutable<T>();
  for (size_t i = 0; i < out.size() && values.size() > 0; ++i) {
    out[i] = convert(values.Get(std::min<int>(static_cast<int>(i), values.size() - 1)));
  }
}

template <class T, class Values> void fill_complex(Tensor& tensor, const Values& values) {
  const int pairs = values.size() / 2;
  auto out = tensor.unchecked_mutable<T>();
  for (size_t i = 0; i < out.size() && pairs > 0; ++i) {
    const int at = std::min(static_cast<int>(i), pairs - 1) * 2;
    out[i] = {values.Get(at), values.Get(at + 1)};
  }
}

// Only what expected.tfrecord files need: no shape checks.
inline Tensor tensor_of(const tensorflow::TensorProto& proto) {
  std::vector<int64_t> dims;
  for (const auto& dim : proto.tensor_shape().dim()) dims.push_back(dim.size());
  Tensor t = *make_zeroed_tensor(static_cast<DataType>(proto.dtype()), *make_shape(dims));
  if (!proto.tensor_content().empty()) {
    std::memcpy(t.raw_mutable_data(), proto.tensor_content().data(), t.byte_size());
    return t;
  }
  const auto same = [](const auto& v) { return v; };
  switch (t.dtype()) {
    case DataType::kFloat: fill_values<float>(t, proto.float_val(), same); break;
    case DataType::kDouble: fill_values<double>(t, proto.double_val(), same); break;
    case DataType::kInt32: fill_values<int32_t>(t, proto.int_val(), same); break;
    case DataType::kInt16: fill_values<int16_t>(t, proto.int_val(), [](int v) { return int16_t(v); }); break;
    case DataType::kInt8: fill_values<int8_t>(t, proto.int_val(), [](int v) { return int8_t(v); }); break;
    case DataType::kUint8: fill_values<uint8_t>(t, proto.int_val(), [](int v) { return uint8_t(v); }); break;
    case DataType::kUint16: fill_values<uint16_t>(t, proto.int_val(), [](int v) { return uint16_t(v); }); break;
    case DataType::kUint32: fill_values<uint32_t>(t, proto.uint32_val(), same); break;
    case DataType::kUint64: fill_values<uint64_t>(t, proto.uint64_val(), same); break;
    case DataType::kInt64: fill_values<int64_t>(t, proto.int64_val(), same); break;
    case DataType::kBool: fill_values<bool>(t, proto.bool_val(), same); break;
    case DataType::kString: fill_values<std::string>(t, proto.string_val(), same); break;
    case DataType::kHalf:
      fill_values<Half>(t, proto.half_val(), [](int v) { return Half::from_bits(uint16_t(v)); });
      break;
    case DataType::kBfloat16:
      fill_values<BFloat16>(t, proto.half_val(), [](int v) { return BFloat16::from_bits(uint16_t(v)); });
      break;
    case DataType::kComplex64: fill_complex<Complex64>(t, proto.scomplex_val()); break;
    case DataType::kComplex128: fill_complex<Complex128>(t, proto.dcomplex_val()); break;
    default: break;
  }
  return t;
}

struct Expected {
  DataType dtype;
  std::vector<int64_t> shape;
  Tensor tensor;  // without a value if it is too large to be listed
};
inline std::map<std::string, Expected> expected_tensors(const std::string& path) {
  std::map<std::string, Expected> result;
  auto reader = *RecordReader::open(path);
  std::string record;
  while (*reader->read(record)) {
    tensorflow::Example example;
    example.ParseFromString(record);
    const auto& feature = example.features().feature();
    Expected& expected = result[feature.at("name").bytes_list().value(0)];
    expected.dtype = static_cast<DataType>(feature.at("dtype").int64_list().value(0));
    const auto& shape = feature.at("shape").int64_list().value();
    expected.shape.assign(shape.begin(), shape.end());
    if (!feature.contains("tensor")) continue;
    tensorflow::TensorProto proto;
    proto.ParseFromString(feature.at("tensor").bytes_list().value(0));
    expected.tensor = tensor_of(proto);
  }
  return result;
}

}  // namespace millrace::testing
