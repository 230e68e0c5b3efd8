// Serialized tf.train.Examples against every kind of feature: the first bytes choose the features, the rest are one
// or two examples.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/byte_reader.h"
#include "ops/example_parser.h"
#include "tensor/allocator.h"

namespace millrace {
namespace {

constexpr DataType kTypes[] = {float32, int64, string};
constexpr const char* kKeys[] = {"x", "n", "s", "many", "", "extra"};

std::string_view key_of(uint8_t choice) { return kKeys[choice / 16 % std::size(kKeys)]; }

void add_feature(uint8_t choice, ExampleFeatures& features) {
  const DataType dtype = kTypes[choice % 3];
  switch (choice / 3 % 5) {
    case 0: features.sparse.push_back({key_of(choice), dtype}); return;
    case 1: features.ragged.push_back({key_of(choice), dtype, choice & 64 ? int32 : int64}); return;
    default: break;
  }
  static const PartialTensorShape shapes[] = {
      PartialTensorShape::scalar(), {2}, {-1}, {-1, 2}, {1, 2, 1}, {0}, {1 << 20, 1 << 20}};
  const PartialTensorShape& shape = shapes[choice % std::size(shapes)];
  Tensor otherwise = *make_zeroed_tensor(dtype, *make_shape({0}));
  if (choice & 32) otherwise = *make_zeroed_tensor(dtype, TensorShape());
  DenseFeature feature;
  feature.key = key_of(choice);
  feature.dtype = dtype;
  if (set_dense_shape(feature, shape, otherwise, features.dense.size()).ok()) features.dense.push_back(feature);
}

void run(std::string_view bytes) {
  set_process_memory_limit(int64_t{64} << 20);
  ByteReader reader(bytes);
  ExampleFeatures features;
  const int count = reader.read_byte("count").value_or(0) % 6;
  for (int i = 0; i < count; ++i) add_feature(reader.read_byte("feature").value_or(0), features);
  const size_t first = reader.read_byte("length").value_or(0);
  std::vector<std::string> examples;
  if (const auto one = reader.read_bytes(std::min(first, reader.remaining()), "example"); one.ok())
    examples.emplace_back(*one);
  examples.emplace_back(*reader.read_bytes(reader.remaining(), "example"));
  parse_examples(examples, {}, features).status().IgnoreError();
  for (const std::string& example : examples) parse_single_example(example, features).status().IgnoreError();
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
