#include "kernels/onednn_conv.h"

#include <cstdlib>
#include <optional>
#include <string_view>

#include "kernels/onednn_primitives.h"
#include "kernels/team.h"

namespace millrace {
namespace {

using onednn::engine;
using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
constexpr auto kFloat = dnnl::memory::data_type::f32;

enum class Direction { kForward, kInputGrad, kFilterGrad };

struct Key {
  Direction direction;
  ConvShape shape;
  friend bool operator==(const Key&, const Key&) = default;
  template <class H> friend H AbslHashValue(H h, const Key& k) {
    return H::combine(std::move(h), static_cast<int>(k.direction), k.shape);
  }
};

struct Convolution {
  bool declined = true;  // oneDNN has no fast way; the rest is empty
  dnnl::primitive primitive;
  Desc input, output, bias, filter;  // filter: as the primitive wants it
  Desc plain_filter;                 // as the caller has it
  Desc scratchpad;
  bool is_reordered = false;  // the two filters differ; the rest is for that
  dnnl::reorder reorder;      // between the two, in the direction that is needed
  Desc reorder_scratchpad;
};

// Two spatial dimensions unless the outermost is used.
struct Descs {
  Desc input, output, bias, plain_filter, any_filter;
  Dims strides, dilations, before, after;
};

Descs describe(const ConvShape& s) {
  const bool volume = s.dims[0] != WindowDim();
  Descs d;
  Dims in = {s.batch, s.in_channels}, out = {s.batch, s.out_channels}, filter, filter_steps;
  if (s.groups > 1) {
    filter = {s.groups};
    filter_steps = {s.group_outputs()};
  }
  filter.insert(filter.end(), {s.group_outputs(), s.group_inputs()});
  filter_steps.insert(filter_steps.end(), {1, s.out_channels});
  for (size_t i = volume ? 0 : 1; i < 3; ++i) {
    const WindowDim& w = s.dims[i];
    in.push_back(w.input);
    out.push_back(w.output);
    filter.push_back(w.window);
    int64_t step = s.group_inputs() * s.out_channels;
    for (size_t inner = i + 1; inner < 3; ++inner) step *= s.dims[inner].window;
    filter_steps.push_back(step);
    d.strides.push_back(w.stride);
    d.dilations.push_back(w.dilation - 1);
    d.before.push_back(w.pad_before);
    d.after.push_back(w.pad_after);
  }
  using Tag = dnnl::memory::format_tag;
  const Tag layout = volume ? (s.channels_first ? Tag::ncdhw : Tag::ndhwc) : (s.channels_first ? Tag::nchw : Tag::nhwc);
  d.input = Desc(in, kFloat, layout);
  d.output = Desc(out, kFloat, layout);
  d.bias = s.has_bias ? Desc({s.out_channels}, kFloat, Tag::x) : Desc();
  d.plain_filter = Desc(filter, kFloat, filter_steps);
  d.any_filter = Desc(filter, kFloat, Tag::any);
  return d;
}

// oneDNN counts in int here and there.
bool is_small(const ConvShape& s) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  const auto fits = [](std::initializer_list<int64_t> factors) {
    int64_t product = 1;
    for (const int64_t f : factors) {
      if (f >= kLimit) return false;
      product *= f;
      if (product >= kLimit) return false;
    }
    return true;
  };
  for (const WindowDim& d : s.dims) {
    if (!fits({d.stride, d.dilation, d.window}) || d.pad_before >= kLimit || d.pad_after >= kLimit) return false;
  }
  const auto& [D, H, W] = s.dims;
  return fits({s.batch, s.in_channels, D.input, H.input, W.input}) &&
         fits({s.batch, s.out_channels, D.output, H.output, W.output}) &&
         fits({s.group_inputs(), s.out_channels, D.window, H.window, W.window});
}

// A plain loop of oneDNN's is slower than ours; and what it needs besides must stay in proportion to the tensors, which
// fails for long filters of few channels (padded to blocks) and unfolded images.
template <class PrimitiveDesc> bool is_fast(const PrimitiveDesc& pd, const Desc& wanted_filter, const Descs& d) {
  const std::string_view name = pd.impl_info_str();
  if (name.starts_with("ref") || name.starts_with("simple")) return false;
  constexpr size_t kSlack = size_t{1} << 24;
  const size_t tensors = d.input.get_size() + d.output.get_size() + d.plain_filter.get_size();
  return wanted_filter.get_size() <= 4 * tensors + kSlack && pd.scratchpad_desc().get_size() <= 4 * tensors + kSlack;
}

dnnl::convolution_forward::primitive_desc forward_desc(const ConvShape& s, const Descs& d) {
  dnnl::post_ops ops;
  if (s.has_side) ops.append_sum(1.0f);
  onednn::append_activation(s.activation, s.alpha, &ops);
  const auto kind = dnnl::prop_kind::forward_training;
  const auto how = dnnl::algorithm::convolution_direct;
  return {{kind, how, d.input, d.any_filter, d.bias, d.output, d.strides, d.dilations, d.before, d.after},
          onednn::attributes(ops),
          engine()};
}

void make_primitive(const Key& key, const Descs& d, Convolution* made) {
  const auto how = dnnl::algorithm::convolution_direct;
  const auto forward = forward_desc(key.shape, d);
  const auto set = [&](const auto& pd, const Desc& filter) {
    made->declined = !is_fast(pd, filter, d);
    if (made->declined) return;
    made->filter = filter;
    made->primitive = dnnl::primitive(pd);
    made->scratchpad = pd.scratchpad_desc();
  };
  switch (key.direction) {
    case Direction::kForward: return set(forward, forward.weights_desc());
    case Direction::kInputGrad: {
      const dnnl::convolution_backward_data::primitive_desc pd(
          {how, d.input, d.any_filter, d.output, d.strides, d.dilations, d.before, d.after}, onednn::attributes(),
          engine(), forward);
      return set(pd, pd.weights_desc());
    }
    case Direction::kFilterGrad: {
      const dnnl::convolution_backward_weights::primitive_desc pd(
          {how, d.input, d.any_filter, d.output, d.strides, d.dilations, d.before, d.after}, onednn::attributes(),
          engine(), forward);
      return set(pd, pd.diff_weights_desc());
    }
  }
}

std::shared_ptr<const Convolution> make_convolution(const Key& key) {
  auto made = std::make_shared<Convolution>();
  if (!is_small(key.shape)) return made;
  const Descs d = describe(key.shape);
  try {
    make_primitive(key, d, made.get());
  } catch (const dnnl::error& e) {
    if (e.status != dnnl_unimplemented && e.status != dnnl_invalid_arguments) throw;
    made->declined = true;
  }
  if (made->declined) return made;
  made->input = d.input;
  made->output = d.output;
  made->bias = d.bias;
  made->plain_filter = d.plain_filter;
  if (made->filter != d.plain_filter) {
    const bool out = key.direction == Direction::kFilterGrad;
    const Desc &from = out ? made->filter : d.plain_filter, &to = out ? d.plain_filter : made->filter;
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, onednn::attributes());
    made->is_reordered = true;
    made->reorder = dnnl::reorder(pd);
    made->reorder_scratchpad = pd.scratchpad_desc();
  }
  return made;
}

using Cache = onednn::Cache<Key, Convolution>;
Cache& cache() {
  static auto* const c = new Cache;
  return *c;
}

dnnl::memory wrap(const Desc& desc, const float* data) { return {desc, engine(), const_cast<float*>(data)}; }

// The filter in the primitive's layout while it runs.
class Filter {
 public:
  Filter(const Convolution& c, const float* plain) : c_(c), plain_(wrap(c.plain_filter, plain)) {
    if (c.is_reordered) blocked_.emplace(c.filter);
  }
  const dnnl::memory& memory() const { return blocked_ ? blocked_->memory() : plain_; }
  void read() {
    if (blocked_) reorder(plain_, blocked_->memory());
  }
  void write() {
    if (blocked_) reorder(blocked_->memory(), plain_);
  }

 private:
  void reorder(const dnnl::memory& from, const dnnl::memory& to) {
    onednn::run(c_.reorder, c_.reorder_scratchpad, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  const Convolution& c_;
  dnnl::memory plain_;
  std::optional<onednn::Temporary> blocked_;
};

template <class Run> absl::StatusOr<bool> guarded(std::string_view what, const Key& key, Run&& run) try {
  const std::shared_ptr<const Convolution> c = cache().get(key, make_convolution);
  if (c->declined) return false;
  run_in_team([&] { run(*c); });
  return true;
} catch (const dnnl::error& e) {
  return onednn::failure(what, e);
} catch (const std::bad_alloc&) {
  return resource_exhausted("oneDNN ran out of memory in ", what);
}

}  // namespace

absl::StatusOr<bool> onednn_convolve(const ConvShape& shape, const float* x, const float* w, const float* bias,
                                     const float* side, float* y) {
  return guarded("convolution", {Direction::kForward, shape}, [&](const Convolution& c) {
    if (side && side != y) std::copy_n(side, c.output.get_size() / sizeof(float), y);  // the sum starts from there
    Filter filter(c, w);
    filter.read();
    std::unordered_map<int, dnnl::memory> args = {
        {DNNL_ARG_SRC, wrap(c.input, x)}, {DNNL_ARG_WEIGHTS, filter.memory()}, {DNNL_ARG_DST, wrap(c.output, y)}};
    if (bias) args.emplace(DNNL_ARG_BIAS, wrap(c.bias, bias));
    onednn::run(c.primitive, c.scratchpad, std::move(args));
  });
}

absl::StatusOr<bool> onednn_convolve_input_grad(const ConvShape& shape, const float* w, const float* dy, float* dx) {
  return guarded("convolution's input gradient", {Direction::kInputGrad, shape}, [&](const Convolution& c) {
    Filter filter(c, w);
    filter.read();
    onednn::run(c.primitive, c.scratchpad,
                {{DNNL_ARG_DIFF_DST, wrap(c.output, dy)},
                 {DNNL_ARG_WEIGHTS, filter.memory()},
                 {DNNL_ARG_DIFF_SRC, wrap(c.input, dx)}});
  });
}

absl::StatusOr<bool> onednn_convolve_filter_grad(const ConvShape& shape, const float* x, const float* dy, float* dw) {
  return guarded("convolution's filter gradient", {Direction::kFilterGrad, shape}, [&](const Convolution& c) {
    Filter filter(c, dw);
    onednn::run(c.primitive, c.scratchpad,
                {{DNNL_ARG_SRC, wrap(c.input, x)},
                 {DNNL_ARG_DIFF_DST, wrap(c.output, dy)},
                 {DNNL_ARG_DIFF_WEIGHTS, filter.memory()}});
    filter.write();
  });
}

int64_t onednn::cached_convolutions() { return cache().size(); }

}  // namespace millrace
