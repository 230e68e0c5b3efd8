// Einsum of one or two tensors with an explicit output. The inputs are brought into the form of a batch of matrices,
// their labels that occur nowhere else summed up on the way; what is left is a batched product.

#include <algorithm>
#include <numeric>

#include "kernels/elements.h"
#include "kernels/gemm.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/einsum_equation.h"
#include "ops/gradient_algebra.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

bool contains(const EinsumLabels& labels, int label) { return std::ranges::find(labels, label) != labels.end(); }

// How far apart the elements of a tensor are along each label: a label that occurs twice is its diagonal, a dimension
// of one that is broadcast has no distance.
class Strides {
 public:
  Strides(const EinsumLabels& labels, std::span<const int64_t> dims, const EinsumLayout& layout)
      : strides_(layout.sizes.size(), 0) {
    int64_t stride = 1;
    for (size_t d = labels.size(); d-- > 0;) {
      const auto label = static_cast<size_t>(labels[d]);
      if (dims[d] != 1 || layout.sizes[label] == 1) strides_[label] += stride;
      stride *= dims[d];
    }
  }
  int64_t operator[](int label) const { return strides_[static_cast<size_t>(label)]; }

 private:
  std::vector<int64_t> strides_;
};

// Goes through all positions of `labels`, the last fastest, and knows where each is in a tensor.
class Walk {
 public:
  Walk(const EinsumLabels& labels, const EinsumLayout& layout, const Strides& strides) {
    for (const int label : labels) dims_.push_back({layout.sizes[static_cast<size_t>(label)], strides[label], 0});
  }
  int64_t at() const { return at_; }
  int64_t count() const {
    return std::accumulate(dims_.begin(), dims_.end(), int64_t{1}, [](int64_t n, const Dim& d) { return n * d.size; });
  }
  void next() {
    for (size_t d = dims_.size(); d-- > 0;) {
      at_ += dims_[d].stride;
      if (++dims_[d].index < dims_[d].size) return;
      at_ -= dims_[d].size * dims_[d].stride;
      dims_[d].index = 0;
    }
  }

 private:
  struct Dim {
    int64_t size, stride, index;
  };
  std::vector<Dim> dims_;
  int64_t at_ = 0;
};

template <class T> using Sum = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

// Dense over `kept`, summed over `summed`.
template <class T>
void pack(const T* in, const Strides& strides, const EinsumLayout& layout, const EinsumLabels& kept,
          const EinsumLabels& summed, std::span<T> out) {
  Walk outer(kept, layout, strides);
  Walk inner(summed, layout, strides);
  const int64_t terms = inner.count();
  for (T& to : out) {
    if (summed.empty()) {
      to = in[outer.at()];
    } else {
      Sum<T> sum{};
      for (int64_t i = 0; i < terms; ++i, inner.next()) sum += Sum<T>(in[outer.at() + inner.at()]);
      to = T(sum);
    }
    outer.next();
  }
}

// The labels of two operands by what becomes of them. Of one operand all are `free` or `summed` ones of the first.
struct Roles {
  EinsumLabels batch, contracted, free[2], summed[2];
};

Roles roles_of(const EinsumLayout& layout) {
  Roles roles;
  for (size_t i = 0; i < layout.inputs.size(); ++i) {
    const EinsumLabels none, &other = layout.inputs.size() > 1 ? layout.inputs[1 - i] : none;
    EinsumLabels seen;
    for (const int label : layout.inputs[i]) {
      if (contains(seen, label)) continue;
      seen.push_back(label);
      const bool shared = contains(other, label), kept = contains(layout.output, label);
      if (!shared) (kept ? roles.free : roles.summed)[i].push_back(label);
      else if (i == 0) (kept ? roles.batch : roles.contracted).push_back(label);
    }
  }
  return roles;
}

EinsumLabels joined_labels(std::initializer_list<EinsumLabels> parts) {
  EinsumLabels all;
  for (const EinsumLabels& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

absl::StatusOr<TensorShape> shape_of_labels(const EinsumLabels& labels, const EinsumLayout& layout) {
  std::vector<int64_t> dims;
  for (const int label : labels) dims.push_back(layout.sizes[static_cast<size_t>(label)]);
  return make_shape(dims);
}

template <class T> class Einsum final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string equation, init.attr<std::string>("equation"));
    MR_ASSIGN_OR_RETURN(equation_, parse_einsum(equation));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    std::vector<PartialTensorShape> shapes;
    for (int i = 0; i < ctx.num_inputs(); ++i) shapes.emplace_back(ctx.shape(i));
    MR_ASSIGN_OR_RETURN(const EinsumLayout layout, lay_out_einsum(equation_, shapes));
    const Roles roles = roles_of(layout);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, shape_of_labels(layout.output, layout));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    const EinsumLabels order = joined_labels({roles.batch, roles.free[0], roles.free[1]});
    if (order == layout.output) return fill(ctx, layout, roles, order, out);
    MR_ASSIGN_OR_RETURN(const TensorShape dense, shape_of_labels(order, layout));
    MR_ASSIGN_OR_RETURN(Tensor result, ctx.allocate_temp(dtype_of<T>, dense));
    const auto values = result.unchecked_mutable<T>();
    MR_RETURN_IF_ERROR(fill(ctx, layout, roles, order, values));
    std::ranges::fill(out, T{});  // beside the diagonals of repeated labels
    const Strides strides(layout.output, shape.dims(), layout);
    Walk walk(order, layout, strides);
    for (const T& value : values) {
      out[static_cast<size_t>(walk.at())] = value;
      walk.next();
    }
    return absl::OkStatus();
  }

  // The result in the order of batch, free labels of the first, of the second.
  static absl::Status fill(KernelContext& ctx, const EinsumLayout& layout, const Roles& roles,
                           const EinsumLabels& order, std::span<T> out) {
    if (out.empty()) return absl::OkStatus();
    if (layout.inputs.size() == 1) {
      MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
      pack(x.data(), Strides(layout.inputs[0], ctx.shape(0).dims(), layout), layout, order, roles.summed[0], out);
      return absl::OkStatus();
    }
    MR_ASSIGN_OR_RETURN(const Tensor a,
                        packed(ctx, 0, layout, {roles.batch, roles.free[0], roles.contracted}, roles.summed[0]));
    MR_ASSIGN_OR_RETURN(const Tensor b,
                        packed(ctx, 1, layout, {roles.batch, roles.contracted, roles.free[1]}, roles.summed[1]));
    return multiply(count_of(roles.batch, layout), count_of(roles.free[0], layout), count_of(roles.free[1], layout),
                    count_of(roles.contracted, layout), a.unchecked<T>().data(), b.unchecked<T>().data(), out.data());
  }

  static absl::StatusOr<Tensor> packed(KernelContext& ctx, int i, const EinsumLayout& layout,
                                       std::initializer_list<EinsumLabels> parts, const EinsumLabels& summed) {
    const EinsumLabels kept = joined_labels(parts);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, shape_of_labels(kept, layout));
    const EinsumLabels& labels = layout.inputs[static_cast<size_t>(i)];
    if (kept == labels && shape == ctx.shape(i)) return ctx.input(i);  // in order already
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<T>(i));
    MR_ASSIGN_OR_RETURN(Tensor dense, ctx.allocate_temp(dtype_of<T>, shape));
    pack(in.data(), Strides(labels, ctx.shape(i).dims(), layout), layout, kept, summed, dense.unchecked_mutable<T>());
    return dense;
  }

  static int64_t count_of(const EinsumLabels& labels, const EinsumLayout& layout) {
    int64_t count = 1;
    for (const int label : labels) count *= layout.sizes[static_cast<size_t>(label)];
    return count;
  }

  static absl::Status multiply(int64_t batch, int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c) {
    if constexpr (std::is_same_v<T, float>) return matmul({.batch = batch, .m = m, .n = n, .k = k}, a, b, nullptr, c);
    for (int64_t i = 0; i < batch; ++i)
      plain_matmul(false, false, false, false, m, n, k, a + i * m * k, b + i * k * n, c + i * m * n);
    return absl::OkStatus();
  }

  EinsumEquation equation_;
};

absl::Status einsum_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const std::string text, c.attr<std::string>("equation"));
  MR_ASSIGN_OR_RETURN(const EinsumEquation equation, parse_einsum(text));
  std::vector<PartialTensorShape> shapes;
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (!c.input(i).has_rank()) return unknown_shapes(c);
    shapes.push_back(c.input(i));
  }
  MR_ASSIGN_OR_RETURN(const EinsumLayout layout, lay_out_einsum(equation, shapes));
  std::vector<int64_t> dims;
  for (const int label : layout.output) {
    int64_t size = layout.sizes[static_cast<size_t>(label)];
    // A dimension that may broadcast is known only where both sides are, or where it is more than one.
    for (size_t i = 0; i < shapes.size() && label >= kEinsumBroadcast && size == 1; ++i) {
      for (size_t d = 0; d < layout.inputs[i].size(); ++d)
        if (layout.inputs[i][d] == label && shapes[i].dim(static_cast<int>(d)) < 0) size = -1;
    }
    dims.push_back(size);
  }
  return c.set_output(0, make_partial_shape(dims));
}

// --- gradient: an einsum of the gradient and the other operand, with the equation turned round

std::string with_dots(const std::string& subscripts) {
  const size_t at = subscripts.find('.');
  return at == std::string::npos ? subscripts : subscripts.substr(0, at) + "..." + subscripts.substr(at + 1);
}

Output einsum(GradientContext& g, const std::vector<Output>& inputs, const std::vector<std::string>& subscripts,
              const std::string& output) {
  std::string equation = with_dots(subscripts[0]);
  for (size_t i = 1; i < subscripts.size(); ++i) equation += "," + with_dots(subscripts[i]);
  const std::vector<Output> out =
      g.op_with_lists("Einsum", {inputs}, {{"equation", equation + "->" + with_dots(output)}}, "Einsum");
  return out.empty() ? Output() : out[0];
}

// Where the label stands in a tensor, counted from the end behind an ellipsis.
int32_t axis_of(const std::string& subscripts, char label) {
  const size_t at = subscripts.find(label), ellipsis = subscripts.find('.');
  return static_cast<int32_t>(at) - (ellipsis < at ? static_cast<int32_t>(subscripts.size()) : 0);
}

// Ones in the dimensions of x that `labels` name.
Output ones_along(GradientContext& g, GradientAlgebra& m, const Output& x, const std::string& subscripts,
                  const std::string& labels) {
  std::vector<int64_t> axes;
  for (const char label : labels) axes.push_back(axis_of(subscripts, label));
  const Output shape = m.shape(x), indices = int_list(g, axes), rank = g.op("Size", {shape});
  const Output positions = g.op("FloorMod", {indices, rank});
  const Output dims = g.op("GatherV2", {shape, positions, g.int32_scalar(0, "axis")});
  return g.op("Fill", {dims, m.scalar(g.dtype(x), 1)}, {}, "ones");
}

// The gradient of x (subscripts `mine`) from that of the output and, if there is one, the other operand.
Output operand_gradient(GradientContext& g, GradientAlgebra& m, const Output& x, const std::string& mine,
                        std::vector<Output> inputs, const std::vector<std::string>& subscripts) {
  std::string summed, kept;  // labels that are nowhere else
  for (const char label : mine) {
    const bool elsewhere = std::ranges::any_of(
        subscripts, [&](const std::string& s) { return label == '.' || s.find(label) != std::string::npos; });
    std::string& to = elsewhere ? kept : summed;
    if (to.find(label) == std::string::npos || elsewhere) to += label;
  }
  if (summed.empty()) return einsum(g, inputs, subscripts, mine);
  const Output ones = ones_along(g, m, x, mine, summed);
  if (subscripts.size() == 1) return einsum(g, {inputs[0], ones}, {subscripts[0], summed}, mine);
  const Output part = einsum(g, inputs, subscripts, kept);
  return einsum(g, {part, ones}, {kept, summed}, mine);
}

// The dimensions of an ellipsis that were broadcast are summed.
Output unbroadcast(GradientContext& g, GradientAlgebra& m, const Output& dx, const Output& shape, const Output& axes,
                   int32_t start) {
  return sum_to_shape(g, dx, m.add(g.int32_scalar(start), axes), shape, false);
}

absl::Status einsum_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  MR_ASSIGN_OR_RETURN(const std::string text, g.attr<std::string>("equation"));
  MR_ASSIGN_OR_RETURN(EinsumEquation e, parse_einsum(text));
  const Output dy = g.dy(0);
  if (e.inputs.size() == 1) {
    g.set_dx(0, operand_gradient(g, m, g.x(0), e.inputs[0], {dy}, {e.output}));
    return absl::OkStatus();
  }
  const bool broadcasts = e.output.find('.') != std::string::npos;
  for (std::string& s : e.inputs) {
    if (broadcasts && s.find('.') == std::string::npos) s += '.';
  }
  const Output x = g.x(0), y = g.x(1);
  Output dx = operand_gradient(g, m, x, e.inputs[0], {dy, m.conj(y)}, {e.output, e.inputs[1]});
  Output dw = operand_gradient(g, m, y, e.inputs[1], {dy, m.conj(x)}, {e.output, e.inputs[0]});
  if (broadcasts) {
    const auto start = [](const std::string& s) { return static_cast<int32_t>(s.find('.')); };
    const Output shape_x = m.shape(x), shape_y = m.shape(y);
    const auto middle = [&](const Output& shape, const std::string& s) {
      const int32_t behind = static_cast<int32_t>(s.size()) - start(s) - 1;
      return slice_vector(g, shape, {.has_end = behind > 0, .begin = start(s), .end = -behind});
    };
    const std::vector<Output> axes =
        g.op_outputs("BroadcastGradientArgs", {middle(shape_x, e.inputs[0]), middle(shape_y, e.inputs[1])});
    if (axes.size() != 2) return absl::OkStatus();  // the context keeps the error
    dx = unbroadcast(g, m, dx, shape_x, axes[0], start(e.inputs[0]));
    dw = unbroadcast(g, m, dw, shape_y, axes[1], start(e.inputs[1]));
  }
  g.set_dx(0, dx);
  g.set_dx(1, dw);
  return absl::OkStatus();
}

using ProductTypes = Types<Half, BFloat16, float, double, int32_t, int64_t, Complex64, Complex128>;

}  // namespace

void register_einsum(Registry& registry) {
  registry.op("Einsum")
      .input("inputs: N * T")
      .output("output: T")
      .attr("equation: string")
      .attr("N: int >= 1")
      .attr("T: type")
      .shape(einsum_shape)
      .cpu_for<Einsum>(ProductTypes())
      .gradient(einsum_gradient)
      .doc("Sums of products by Einstein's convention, of one or two tensors.");
}

}  // namespace millrace
