// Transposes as models make them (attention heads, image layouts), beside the loop over all indices.

#include "kernels/bench_data.h"
#include "kernels/strided_copy.h"

namespace millrace {
namespace {

struct Transpose {
  std::vector<int64_t> dims, src_strides, dst_strides;  // of the output
  int64_t elements = 1;
};

Transpose transpose(const std::vector<int64_t>& from, const std::vector<size_t>& order) {
  Transpose t;
  std::vector<int64_t> strides(from.size());
  for (size_t d = from.size(); d-- > 0;) {
    strides[d] = t.elements;
    t.elements *= from[d];
  }
  int64_t stride = t.elements;
  for (const size_t d : order) {
    t.dims.push_back(from[d]);
    t.src_strides.push_back(strides[d]);
    stride /= from[d];
    t.dst_strides.push_back(stride);
  }
  return t;
}

void fast(benchmark::State& state, Transpose t) {
  const std::vector<float> x = bench_values(t.elements);
  std::vector<float> out(x.size());
  for (auto _ : state) {
    const absl::Status status =
        strided_copy(DataType::kFloat, t.dims, x.data(), t.src_strides, out.data(), t.dst_strides);
    if (!status.ok()) return state.SkipWithError(std::string(status.message()).c_str());
    keep(out);
  }
  set_rates(state, 8.0 * static_cast<double>(t.elements), 0);
}

void plain(benchmark::State& state, Transpose t) {
  const std::vector<float> x = bench_values(t.elements);
  std::vector<float> out(x.size());
  for (auto _ : state) {
    std::vector<int64_t> index(t.dims.size());
    int64_t from = 0;
    for (int64_t to = 0; to < t.elements; ++to) {
      out[static_cast<size_t>(to)] = x[static_cast<size_t>(from)];
      for (size_t d = index.size(); d-- > 0;) {
        from += t.src_strides[d];
        if (++index[d] < t.dims[d]) break;
        from -= t.src_strides[d] * t.dims[d];
        index[d] = 0;
      }
    }
    keep(out);
  }
  set_rates(state, 8.0 * static_cast<double>(t.elements), 0);
}

#define MR_TRANSPOSE(name, ...)                          \
  BENCHMARK_CAPTURE(fast, name, transpose(__VA_ARGS__)); \
  BENCHMARK_CAPTURE(plain, name, transpose(__VA_ARGS__))
MR_TRANSPOSE(matrix_784x512, {784, 512}, {1, 0});
MR_TRANSPOSE(heads_8x128x4x64, {8, 128, 4, 64}, {0, 2, 1, 3});
MR_TRANSPOSE(time_major_20x20x200, {20, 20, 200}, {1, 0, 2});
MR_TRANSPOSE(nhwc_to_nchw_32x32x32x16, {32, 32, 32, 16}, {0, 3, 1, 2});
MR_TRANSPOSE(nchw_to_nhwc_32x16x32x32, {32, 16, 32, 32}, {0, 2, 3, 1});

}  // namespace
}  // namespace millrace
