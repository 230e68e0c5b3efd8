// Grayscale morphological dilation of images, y = max(x + filter) over a window, and its gradients, which flow to
// where the maximum lies: the first of several, and the window's first element where none is above the lowest number.

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

absl::StatusOr<WindowAttrs> dilation_attrs(const NodeInfo& node) {
  WindowAttrs a;
  MR_ASSIGN_OR_RETURN(a.strides, get_attr<std::vector<int64_t>>(node, "strides"));
  MR_ASSIGN_OR_RETURN(a.dilations, get_attr<std::vector<int64_t>>(node, "rates"));
  MR_ASSIGN_OR_RETURN(const std::string padding, get_attr<std::string>(node, "padding"));
  a.padding = padding == "SAME" ? Padding::kSame : Padding::kValid;
  for (const auto& [name, list] : {std::pair("strides", &a.strides), std::pair("rates", &a.dilations)}) {
    if (list->size() != 4)
      return invalid_argument(node.op, " requires the ", name,
                              " attribute to contain 4 values, but got: ", list->size());
    for (const int64_t value : *list) {
      if (value < 1 || value > std::numeric_limits<int32_t>::max())
        return invalid_argument(node.op, ": ", name, " must be positive numbers of 32 bits, got ", value);
    }
  }
  return a;
}

// How the filter lies over the images.
struct Dilation {
  int64_t batch = 0, channels = 0;
  WindowDim rows, columns;
  TensorShape output;

  int64_t input_image() const { return rows.input * columns.input * channels; }
  int64_t output_row() const { return columns.output * channels; }
  // Calls fn(offset of the tap's channels in the image, in the filter) for the taps that lie on the image.
  template <class Fn> void each_tap(int64_t row, int64_t column, Fn&& fn) const {
    const WindowDim::Taps y = rows.taps(row), x = columns.taps(column);
    for (int64_t ky = y.begin; ky < y.end; ++ky) {
      const int64_t image_row = (rows.start(row) + ky * rows.dilation) * columns.input;
      for (int64_t kx = x.begin; kx < x.end; ++kx)
        fn((image_row + columns.start(column) + kx * columns.dilation) * channels,
           (ky * columns.window + kx) * channels);
    }
  }
};

class DilationKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(attrs_, dilation_attrs(init.node()));
    return check_kernel_can(init.node(), attrs_);
  }

 protected:
  absl::StatusOr<Dilation> place(KernelContext& ctx) const {
    const TensorShape &input = ctx.shape(0), &filter = ctx.shape(1);
    const std::string& op = ctx.node().op;
    if (input.rank() != 4) return invalid_argument(op, ": input must be 4-dimensional, got ", input);
    if (filter.rank() != 3) return invalid_argument(op, ": filter must be 3-dimensional: ", filter);
    if (input.dim(3) != filter.dim(2))
      return invalid_argument(op, ": input and filter must have the same depth: ", input.dim(3), " vs ", filter.dim(2));
    Dilation d{.batch = input.dim(0), .channels = input.dim(3), .rows = {}, .columns = {}, .output = {}};
    MR_ASSIGN_OR_RETURN(d.rows, place_window(attrs_, 0, input.dim(1), filter.dim(0)));
    MR_ASSIGN_OR_RETURN(d.columns, place_window(attrs_, 1, input.dim(2), filter.dim(1)));
    MR_ASSIGN_OR_RETURN(d.output, make_shape({d.batch, d.rows.output, d.columns.output, d.channels}));
    return d;
  }
  // With the gradient of the output in input 2.
  absl::StatusOr<Dilation> place_gradient(KernelContext& ctx) const {
    MR_ASSIGN_OR_RETURN(Dilation d, place(ctx));
    if (ctx.shape(2) != d.output)
      return invalid_argument(ctx.node().op, ": out_backprop has incompatible size: expected ", d.output, ", got ",
                              ctx.shape(2));
    return d;
  }

 private:
  WindowAttrs attrs_;
};

template <class T> class Dilation2D final : public DilationKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> filter, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const Dilation d, place(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, d.output));
    if (y.empty()) return absl::OkStatus();
    const double cost = static_cast<double>(d.output_row()) * static_cast<double>(d.rows.window * d.columns.window);
    parallel_for(d.batch * d.rows.output, cost, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        dilate_row(d, x.data() + r / d.rows.output * d.input_image(), filter.data(), r % d.rows.output,
                   y.data() + r * d.output_row());
    });
    return absl::OkStatus();
  }

  static void dilate_row(const Dilation& d, const T* image, const T* filter, int64_t row, T* out) {
    std::fill_n(out, d.output_row(), lowest_number<T>());
    for (int64_t column = 0; column < d.columns.output; ++column, out += d.channels) {
      d.each_tap(row, column, [&](int64_t at, int64_t tap) {
        for (int64_t c = 0; c < d.channels; ++c) {
          const T value = Add::apply(image[at + c], filter[tap + c]);
          if (number_less(out[c], value)) out[c] = value;
        }
      });
    }
  }
};

// Where each channel of one position has its maximum.
template <class T> class Maxima {
 public:
  Maxima(const Dilation& d, const T* filter)
      : d_(d), filter_(filter), value_(channels()), in_image_(channels()), in_filter_(channels()) {}

  void find(const T* image, int64_t row, int64_t column) {
    const int64_t y = std::max<int64_t>(d_.rows.start(row), 0), x = std::max<int64_t>(d_.columns.start(column), 0);
    on_image_ = y < d_.rows.input && x < d_.columns.input;
    std::ranges::fill(value_, lowest_number<T>());
    std::ranges::fill(in_image_, (y * d_.columns.input + x) * d_.channels);
    std::ranges::fill(in_filter_, 0);
    d_.each_tap(row, column, [&](int64_t at, int64_t tap) {
      for (size_t c = 0; c < value_.size(); ++c) {
        const auto offset = static_cast<int64_t>(c);
        const T value = Add::apply(image[at + offset], filter_[tap + offset]);
        if (!number_less(value_[c], value)) continue;
        value_[c] = value;
        in_image_[c] = at;
        in_filter_[c] = tap;
        on_image_ = true;
      }
    });
  }
  bool on_image() const { return on_image_; }
  int64_t in_image(int64_t c) const { return in_image_[static_cast<size_t>(c)] + c; }
  int64_t in_filter(int64_t c) const { return in_filter_[static_cast<size_t>(c)] + c; }

 private:
  size_t channels() const { return static_cast<size_t>(d_.channels); }
  const Dilation& d_;
  const T* filter_;
  bool on_image_ = false;
  std::vector<T> value_;
  std::vector<int64_t> in_image_, in_filter_;
};

template <class T, class Fn>
void each_maximum(const Dilation& d, const T* images, const T* filter, int64_t begin, int64_t end, Fn&& fn) {
  Maxima<T> maxima(d, filter);
  for (int64_t b = begin; b < end; ++b) {
    for (int64_t row = 0; row < d.rows.output; ++row) {
      for (int64_t column = 0; column < d.columns.output; ++column) {
        maxima.find(images + b * d.input_image(), row, column);
        fn(b, ((b * d.rows.output + row) * d.columns.output + column) * d.channels, maxima);
      }
    }
  }
}

template <class T> class Dilation2DBackpropInput final : public DilationKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> filter, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const Dilation d, place_gradient(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, ctx.shape(0)));
    std::ranges::fill(dx, T{});
    if (dx.empty()) return absl::OkStatus();
    const double cost =
        2 * static_cast<double>(d.rows.output * d.output_row()) * static_cast<double>(d.rows.window * d.columns.window);
    parallel_for(d.batch, cost, [&](int64_t begin, int64_t end) {
      each_maximum(d, x.data(), filter.data(), begin, end, [&](int64_t b, int64_t out, const Maxima<T>& maxima) {
        if (!maxima.on_image()) return;
        T* image = dx.data() + b * d.input_image();
        for (int64_t c = 0; c < d.channels; ++c) {
          T& to = image[maxima.in_image(c)];
          to = Add::apply(to, dy[static_cast<size_t>(out + c)]);
        }
      });
    });
    return absl::OkStatus();
  }
};

template <class T> class Dilation2DBackpropFilter final : public DilationKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> filter, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const Dilation d, place_gradient(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<T> df, ctx.output<T>(0, ctx.shape(1)));
    std::ranges::fill(df, T{});
    if (df.empty()) return absl::OkStatus();
    each_maximum(d, x.data(), filter.data(), 0, d.batch, [&](int64_t, int64_t out, const Maxima<T>& maxima) {
      for (int64_t c = 0; c < d.channels; ++c) {
        T& to = df[static_cast<size_t>(maxima.in_filter(c))];
        to = Add::apply(to, dy[static_cast<size_t>(out + c)]);
      }
    });
    return absl::OkStatus();
  }
};

absl::Status dilation_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, 4));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape filter, c.with_rank(1, 3));
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, dilation_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const int64_t depth, merge_dim(input.dim(3), filter.dim(2)));
  MR_ASSIGN_OR_RETURN(const int64_t rows, output_size(a, 0, input.dim(1), filter.dim(0)));
  MR_ASSIGN_OR_RETURN(const int64_t columns, output_size(a, 1, input.dim(2), filter.dim(1)));
  return c.set_output(0, make_partial_shape({input.dim(0), rows, columns, depth}));
}
absl::Status like_filter(ShapeContext& c) { return c.set_output(0, c.input(1)); }

absl::Status dilation_gradient(GradientContext& g) {
  const AttrMap attrs = copied_attrs(g.node(), {"strides", "rates", "padding"});
  g.set_dx(0, g.op("Dilation2DBackpropInput", {g.x(0), g.x(1), g.dy(0)}, attrs));
  g.set_dx(1, g.op("Dilation2DBackpropFilter", {g.x(0), g.x(1), g.dy(0)}, attrs));
  return absl::OkStatus();
}

OpBuilder with_attrs(OpBuilder op) {
  return op.attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .attr("strides: list(int) >= 4")
      .attr("rates: list(int) >= 4")
      .attr("padding: {'SAME', 'VALID'}");
}

}  // namespace

void register_dilation(Registry& registry) {
  with_attrs(registry.op("Dilation2D").input("input: T").input("filter: T").output("output: T"))
      .shape(dilation_shape)
      .cpu_for<Dilation2D>(RealTypes())
      .gradient(dilation_gradient)
      .doc("The maximum of image plus filter over each window.");
  with_attrs(registry.op("Dilation2DBackpropInput")
                 .input("input: T")
                 .input("filter: T")
                 .input("out_backprop: T")
                 .output("in_backprop: T"))
      .shape(unchanged_shape)
      .cpu_for<Dilation2DBackpropInput>(RealTypes())
      .doc("The gradient of Dilation2D by the images.");
  with_attrs(registry.op("Dilation2DBackpropFilter")
                 .input("input: T")
                 .input("filter: T")
                 .input("out_backprop: T")
                 .output("filter_backprop: T"))
      .shape(like_filter)
      .cpu_for<Dilation2DBackpropFilter>(RealTypes())
      .doc("The gradient of Dilation2D by the filter.");
}

}  // namespace millrace
