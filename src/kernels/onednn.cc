#include "kernels/onednn.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "kernels/onednn_primitives.h"
#include "kernels/parallel.h"
#include "kernels/team.h"

namespace millrace {
namespace onednn {

const dnnl::engine& engine() {
  static const auto* const cpu =
      new dnnl::engine(dnnl::engine::kind::cpu, 0);  // outlives every static that may hold a primitive
  return *cpu;
}

dnnl::stream& stream() {
  thread_local dnnl::stream s(engine());
  return s;
}

dnnl::primitive_attr attributes(const dnnl::post_ops& ops) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(ops);
  return attr;
}

namespace {

Buffer* allocate(size_t bytes) {
  Buffer* const buffer = process_allocator()->allocate(std::max<size_t>(bytes, 1));
  return buffer ? buffer : throw std::bad_alloc();
}

}  // namespace

Temporary::Temporary(const dnnl::memory::desc& desc)
    : buffer_(allocate(desc.get_size())), memory_(desc, engine(), buffer_->data()) {}

void run(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
         std::unordered_map<int, dnnl::memory> arguments) {
  std::optional<Temporary> working;
  if (scratchpad.get_size() > 0) arguments.emplace(DNNL_ARG_SCRATCHPAD, working.emplace(scratchpad).memory());
  primitive.execute(stream(), arguments);
  stream().wait();
}

absl::Status failure(std::string_view what, const dnnl::error& e) {
  if (e.status == dnnl_out_of_memory) return resource_exhausted("oneDNN ran out of memory in ", what);
  return internal_error("oneDNN ", what, ": ", std::string_view(e.what()));
}

void append_activation(Activation activation, float alpha, dnnl::post_ops* ops) {
  using dnnl::algorithm;
  switch (activation) {
    case Activation::kNone: break;
    case Activation::kRelu: ops->append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f); break;
    case Activation::kRelu6: ops->append_eltwise(1.0f, algorithm::eltwise_clip, 0.0f, 6.0f); break;
    case Activation::kElu: ops->append_eltwise(1.0f, algorithm::eltwise_elu, 1.0f, 0.0f); break;
    case Activation::kLeakyRelu: ops->append_eltwise(1.0f, algorithm::eltwise_relu, alpha, 0.0f); break;
    case Activation::kTanh: ops->append_eltwise(1.0f, algorithm::eltwise_tanh, 0.0f, 0.0f); break;
    case Activation::kSigmoid: ops->append_eltwise(1.0f, algorithm::eltwise_logistic, 0.0f, 0.0f); break;
  }
}

}  // namespace onednn

namespace {

using onednn::engine;
using onednn::failure;

struct MatMul {
  dnnl::matmul primitive;
  dnnl::memory::desc a, b, c, bias, scratchpad;
};

dnnl::memory::desc matrices(int64_t batch, int64_t rows, int64_t cols, bool transposed) {
  using Dims = dnnl::memory::dims;
  if (batch == 0) return {Dims{rows, cols}, dnnl::memory::data_type::f32, transposed ? Dims{1, rows} : Dims{cols, 1}};
  return {Dims{batch, rows, cols}, dnnl::memory::data_type::f32,
          transposed ? Dims{rows * cols, 1, rows} : Dims{rows * cols, cols, 1}};
}

std::shared_ptr<const MatMul> make_matmul(const MatMulShape& s) {
  auto made = std::make_shared<MatMul>();
  const bool single = s.batch == 1;
  const int64_t batch = single ? 0 : s.batch;
  made->a = matrices(single ? 0 : s.broadcast_a ? 1 : batch, s.m, s.k, s.transpose_a);
  made->b = matrices(single ? 0 : s.broadcast_b ? 1 : batch, s.k, s.n, s.transpose_b);
  made->c = matrices(batch, s.m, s.n, false);
  dnnl::post_ops ops;
  onednn::append_activation(s.activation, s.alpha, &ops);
  const dnnl::primitive_attr attr = onednn::attributes(ops);
  const auto set = [&](const dnnl::matmul::primitive_desc& pd) {
    made->primitive = dnnl::matmul(pd);
    made->scratchpad = pd.scratchpad_desc();
  };
  if (s.has_bias) {
    using Dims = dnnl::memory::dims;
    made->bias = dnnl::memory::desc(single ? Dims{1, s.n} : Dims{1, 1, s.n}, dnnl::memory::data_type::f32,
                                    single ? Dims{s.n, 1} : Dims{s.n, s.n, 1});
    set({{made->a, made->b, made->bias, made->c}, attr, engine()});
  } else {
    set({{made->a, made->b, made->c}, attr, engine()});
  }
  return made;
}

using Cache = onednn::Cache<MatMulShape, MatMul>;
Cache& cache() {
  static auto* const c = new Cache;
  return *c;
}

// Products of so few multiplications are done before a team has woken up.
constexpr int64_t kSerialProduct = 1 << 19;

}  // namespace

absl::Status onednn_matmul(const MatMulShape& shape, const float* a, const float* b, const float* bias, float* c) try {
  const std::shared_ptr<const MatMul> m = cache().get(shape, make_matmul);
  const dnnl::engine& e = engine();
  const dnnl::memory src(m->a, e, const_cast<float*>(a)), weights(m->b, e, const_cast<float*>(b)), dst(m->c, e, c);
  std::unordered_map<int, dnnl::memory> arguments = {
      {DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, dst}};
  if (shape.has_bias) arguments.emplace(DNNL_ARG_BIAS, dnnl::memory(m->bias, e, const_cast<float*>(bias)));
  // A primitive is to run with as many threads as it was made for, and may split sums by them.
  run_in_team([&] { onednn::run(m->primitive, m->scratchpad, std::move(arguments)); });
  return absl::OkStatus();
} catch (const dnnl::error& e) {
  return failure("matmul", e);
} catch (const std::bad_alloc&) {
  return resource_exhausted("oneDNN ran out of memory in matmul");
}

absl::Status onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
                          const float* b, bool accumulate, float* c) {
  dnnl_status_t s = dnnl_success;
  const auto multiply = [&] {
    s = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, transpose_a ? m : k, b,
                   transpose_b ? k : n, accumulate ? 1.0f : 0.0f, c, n);
  };
  if (m * n * k <= kSerialProduct) {
    const SerialGuard serial;
    multiply();
  } else {
    run_in_team(multiply);
  }
  if (s == dnnl_success) return absl::OkStatus();
  if (s == dnnl_out_of_memory) return resource_exhausted("oneDNN ran out of memory in sgemm");
  return internal_error("oneDNN sgemm failed with status ", static_cast<int>(s));
}

int64_t onednn_cached_primitives() { return cache().size() + onednn::cached_convolutions(); }

}  // namespace millrace
