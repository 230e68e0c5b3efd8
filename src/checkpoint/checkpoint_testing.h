#pragma once
// For tests of this layer: TensorFlow's checkpoints in tests/data and what they hold.

#include <map>
#include <string>

#include "base/status.h"
#include "io/record_reader.h"
#include "millrace/tensor.h"
#include "tensor/tensor_proto.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace::testing {

inline const std::string kCheckpoints = MILLRACE_SOURCE_DIR "/tests/data/checkpoints/";

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
    if (const auto shape = feature.find("shape"); shape != feature.end()) {
      const auto& dims = shape->second.int64_list().value();
      expected.shape.assign(dims.begin(), dims.end());
    }
    if (!feature.contains("tensor")) continue;
    tensorflow::TensorProto proto;
    proto.ParseFromString(feature.at("tensor").bytes_list().value(0));
    expected.tensor = *from_proto(proto);
  }
  return result;
}

}  // namespace millrace::testing
