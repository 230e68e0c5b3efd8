// Pooling of images to sizes that need not divide them: the borders of the cells are drawn at random (Graham,
// "Fractional Max-Pooling", arXiv:1412.6071). Draws equal TensorFlow's for the same seeds.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/random_generator.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

// --- Drawing the cells

// The stream as it stands; `stream` goes on after `results` results of it.
Philox take(Philox& stream, uint64_t results) {
  const Philox taken = stream;
  stream.skip(results);
  return taken;
}
uint64_t results_for(int64_t output) { return static_cast<uint64_t>(output + 3) / 4; }

// Sizes of cells that differ by one at most, in random order: one number for each but the last.
std::vector<int64_t> random_sizes(int64_t input, int64_t output, Philox& stream) {
  std::vector<int64_t> sizes(static_cast<size_t>(output), input / output);
  for (int64_t i = 0; i < input % output; ++i) ++sizes[static_cast<size_t>(i)];
  Philox taken = take(stream, results_for(output));
  SinglePhilox random(&taken);
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    const auto left = static_cast<uint32_t>(sizes.size() - i);
    std::swap(sizes[i], sizes[i + random() % left]);
  }
  return sizes;
}

// Sizes between the multiples of input / output, all moved by one random number; it is bounded so that the first and
// the last cell differ from the others by one at most.
std::vector<int64_t> pseudo_random_sizes(int64_t input, int64_t output, Philox& stream) {
  const double alpha = static_cast<double>(input) / static_cast<double>(output);
  const auto whole = static_cast<double>(input / output);
  const double most_left = (whole + 2) / alpha - 1;
  const double most_right = (static_cast<double>(input) + 1 - whole) / alpha - static_cast<double>(output - 1);
  Philox taken = take(stream, 1);
  SinglePhilox random(&taken);
  const double moved = random.uniform_double() * std::min(most_left, most_right);
  std::vector<int64_t> sizes;
  int64_t border = 1;
  for (int64_t i = 1; i <= output; ++i) {
    const auto drawn = static_cast<int64_t>(std::ceil(alpha * (static_cast<double>(i) + moved)));
    const int64_t next = i == output ? input + 1 : std::clamp(drawn, border, input + 1);
    sizes.push_back(next - border);
    border = next;
  }
  return sizes;
}

// Where the cells of one dimension begin, and where the last one ends.
std::vector<int64_t> draw_borders(int64_t input, int64_t output, bool pseudo_random, Philox& stream) {
  const std::vector<int64_t> sizes =
      pseudo_random ? pseudo_random_sizes(input, output, stream) : random_sizes(input, output, stream);
  std::vector<int64_t> borders(sizes.size() + 1, 0);
  std::partial_sum(sizes.begin(), sizes.end(), borders.begin() + 1);
  return borders;
}

// --- Going over the cells

// The cells of one dimension of `size` elements; overlapping ones hold the first element of the next one too.
struct Cells {
  std::vector<int64_t> borders;
  int64_t size = 0;
  bool overlapping = false;

  int64_t count() const { return static_cast<int64_t>(borders.size()) - 1; }
  int64_t begin(int64_t i) const { return borders[static_cast<size_t>(i)]; }
  int64_t end(int64_t i) const { return std::min(borders[static_cast<size_t>(i + 1)] + (overlapping ? 1 : 0), size); }
};

struct CellGrid {
  int64_t batch = 0, channels = 0;
  Cells rows, columns;

  int64_t num_cells() const { return batch * rows.count() * columns.count(); }
  // Calls fn(first channel of a pixel) for the pixels of a cell, numbered over the whole batch.
  template <class Fn> void each_pixel(int64_t cell, Fn&& fn) const {
    const int64_t column = cell % columns.count(), row = cell / columns.count() % rows.count();
    const int64_t image = cell / columns.count() / rows.count() * rows.size;
    for (int64_t y = rows.begin(row); y < rows.end(row); ++y) {
      for (int64_t x = columns.begin(column); x < columns.end(column); ++x)
        fn(((image + y) * columns.size + x) * channels);
    }
  }
  int64_t pixels(int64_t cell) const {
    const int64_t column = cell % columns.count(), row = cell / columns.count() % rows.count();
    return (rows.end(row) - rows.begin(row)) * (columns.end(column) - columns.begin(column));
  }
  double cost() const {
    return 0.5 * static_cast<double>(channels) * static_cast<double>(batch * rows.size * columns.size) /
           static_cast<double>(std::max<int64_t>(num_cells(), 1));
  }
};

template <class T> void max_of_cells(const CellGrid& grid, const T* x, T* y) {
  parallel_for(grid.num_cells(), grid.cost(), [&](int64_t begin, int64_t end) {
    for (int64_t cell = begin; cell < end; ++cell) {
      T* out = y + cell * grid.channels;
      std::fill_n(out, grid.channels, lowest_number<T>());
      grid.each_pixel(cell, [&](int64_t at) {
        for (int64_t c = 0; c < grid.channels; ++c) out[c] = Maximum::apply(out[c], x[at + c]);
      });
    }
  });
}

template <class T> void mean_of_cells(const CellGrid& grid, const T* x, T* y) {
  parallel_for(grid.num_cells(), grid.cost(), [&](int64_t begin, int64_t end) {
    for (int64_t cell = begin; cell < end; ++cell) {
      T* out = y + cell * grid.channels;
      std::fill_n(out, grid.channels, T{});
      grid.each_pixel(cell, [&](int64_t at) {
        for (int64_t c = 0; c < grid.channels; ++c) out[c] = Add::apply(out[c], x[at + c]);
      });
      const auto count = static_cast<T>(std::max<int64_t>(grid.pixels(cell), 1));
      for (int64_t c = 0; c < grid.channels; ++c) out[c] /= count;
    }
  });
}

// --- Kernels

struct PoolOptions {
  std::vector<float> ratio;
  bool pseudo_random = false, overlapping = false;
};

absl::Status check_ratios(const NodeInfo& node, const std::vector<float>& ratio) {
  if (ratio.size() != 4) return invalid_argument(node.op, ": pooling_ratio field must specify 4 dimensions");
  for (const float r : ratio) {
    if (!(r >= 1)) return invalid_argument(node.op, ": pooling_ratio cannot be smaller than 1, got: ", r);
  }
  return absl::OkStatus();
}

// In float, as TensorFlow has it: it decides where a quotient is whole.
int64_t pooled_size(int64_t size, float ratio) {
  return static_cast<int64_t>(std::floor(static_cast<float>(size) / ratio));
}

template <class T, bool kMax> class FractionalPool final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(options_.ratio, init.attr<std::vector<float>>("pooling_ratio"));
    MR_ASSIGN_OR_RETURN(options_.pseudo_random, init.attr<bool>("pseudo_random"));
    MR_ASSIGN_OR_RETURN(options_.overlapping, init.attr<bool>("overlapping"));
    MR_ASSIGN_OR_RETURN(deterministic_, init.attr<bool>("deterministic"));
    MR_ASSIGN_OR_RETURN(const int64_t seed, init.attr<int64_t>("seed"));
    MR_ASSIGN_OR_RETURN(const int64_t seed2, init.attr<int64_t>("seed2"));
    MR_RETURN_IF_ERROR(check_ratios(init.node(), options_.ratio));
    if (options_.ratio[0] != 1 || options_.ratio[3] != 1)
      return unimplemented(init.node().op, ": pooling is not supported on the batch nor channel dimension.");
    if (!deterministic_ && (seed != 0 || seed2 != 0))
      return invalid_argument(init.node().op, ": Both seed and seed2 should be 0 if deterministic is false.");
    return generator_.init(init);
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const CellGrid grid, draw(ctx.node(), ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const TensorShape shape,
                        make_shape({grid.batch, grid.rows.count(), grid.columns.count(), grid.channels}));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, shape));
    for (const auto& [i, cells] : {std::pair(1, &grid.rows), std::pair(2, &grid.columns)}) {
      MR_ASSIGN_OR_RETURN(const TensorShape length, make_shape({cells->count() + 1}));
      MR_ASSIGN_OR_RETURN(const std::span<int64_t> borders, ctx.output<int64_t>(i, length));
      std::ranges::copy(cells->borders, borders.begin());
    }
    if constexpr (kMax) max_of_cells(grid, x.data(), y.data());
    else mean_of_cells(grid, x.data(), y.data());
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<CellGrid> draw(const NodeInfo& node, const TensorShape& input) {
    if (input.rank() != 4) return invalid_argument(node.op, ": tensor_in must be 4-dimensional, got ", input);
    for (int i = 0; i < 4; ++i) {
      if (!(static_cast<float>(input.dim(i)) >= options_.ratio[static_cast<size_t>(i)]))
        return invalid_argument(node.op, ": Pooling ratio is higher than input dimension size for dimension ", i,
                                ". Input dim size: ", input.dim(i),
                                " pooling ratio: ", options_.ratio[static_cast<size_t>(i)]);
    }
    // A node that is deterministic begins anew in each run; the others go on.
    Philox stream = generator_.reserve(deterministic_ ? 0 : results_for(input.dim(1)) + results_for(input.dim(2)));
    CellGrid grid{.batch = input.dim(0), .channels = input.dim(3), .rows = {}, .columns = {}};
    for (const auto& [i, cells] : {std::pair(1, &grid.rows), std::pair(2, &grid.columns)}) {
      const int64_t output = pooled_size(input.dim(i), options_.ratio[static_cast<size_t>(i)]);
      if (output < 1 || output > std::min<int64_t>(input.dim(i), std::numeric_limits<int32_t>::max()))
        return invalid_argument(node.op, ": dimension ", i, " of ", input, " cannot be pooled to ", output);
      *cells = {draw_borders(input.dim(i), output, options_.pseudo_random, stream), input.dim(i), options_.overlapping};
    }
    return grid;
  }

  PoolOptions options_;
  bool deterministic_ = false;
  GuardedPhilox generator_;
};
template <class T> using FractionalMaxPool = FractionalPool<T, true>;
template <class T> using FractionalAvgPool = FractionalPool<T, false>;

// Input i as the borders of `count` cells over `size` elements.
absl::StatusOr<Cells> read_cells(KernelContext& ctx, int i, std::string_view name, int64_t count, int64_t size) {
  if (ctx.shape(i).rank() != 1 || ctx.shape(i).dim(0) != count + 1)
    return invalid_argument(ctx.node().op, ": ", name, " must be a vector of ", count + 1, " elements, got shape ",
                            ctx.shape(i));
  MR_ASSIGN_OR_RETURN(std::vector<int64_t> borders, ctx.int_values(i));
  Cells cells{.borders = std::move(borders), .size = size, .overlapping = false};
  for (size_t k = 0; k + 1 < cells.borders.size(); ++k) {
    const int64_t from = cells.borders[k], to = cells.borders[k + 1];
    if (from < 0 || from >= size || to <= from || to > size)
      return invalid_argument(ctx.node().op, ": ", name, " must rise within [0, ", size, "], but has ", from, ", ", to,
                              " at ", k);
  }
  return cells;
}

class FractionalPoolGradKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(overlapping_, init.attr<bool>("overlapping"));
    return absl::OkStatus();
  }

 protected:
  // The cells of inputs `at` and `at` + 1, by which images of shape `input` were pooled to `output`.
  absl::StatusOr<CellGrid> grid(KernelContext& ctx, int at, const TensorShape& input, const TensorShape& output) const {
    const std::string& op = ctx.node().op;
    if (input.rank() != 4) return invalid_argument(op, ": orig_input should be a tensor of rank 4, got ", input);
    if (output.rank() != 4) return invalid_argument(op, ": out_backprop should be a tensor of rank 4, got ", output);
    if (input.dim(0) != output.dim(0) || input.dim(3) != output.dim(3))
      return invalid_argument(op, ": batch and channels of ", input, " and ", output, " differ");
    if (input.num_elements() == 0 || output.num_elements() == 0)
      return invalid_argument(op, ": images must not be empty, got ", input, " and ", output);
    CellGrid grid{.batch = input.dim(0), .channels = input.dim(3), .rows = {}, .columns = {}};
    MR_ASSIGN_OR_RETURN(grid.rows, read_cells(ctx, at, "row_pooling_sequence", output.dim(1), input.dim(1)));
    MR_ASSIGN_OR_RETURN(grid.columns, read_cells(ctx, at + 1, "col_pooling_sequence", output.dim(2), input.dim(2)));
    grid.rows.overlapping = grid.columns.overlapping = overlapping_;
    return grid;
  }

 private:
  bool overlapping_ = false;
};

// Each gradient goes to the first maximum of its cell. One image after the other: overlapping cells share pixels.
template <class T> class FractionalMaxPoolGrad final : public FractionalPoolGradKernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> y, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const CellGrid g, grid(ctx, 3, ctx.shape(0), ctx.shape(1)));
    if (ctx.shape(2) != ctx.shape(1))
      return invalid_argument(ctx.node().op, ": out_backprop must have the shape of orig_output, ", ctx.shape(1),
                              ", got ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, ctx.shape(0)));
    std::ranges::fill(dx, T{});
    for (int64_t cell = 0; cell < g.num_cells(); ++cell) {
      for (int64_t c = 0; c < g.channels; ++c) {
        int64_t best = -1;
        g.each_pixel(cell, [&](int64_t at) {
          if (best < 0 || x[static_cast<size_t>(best)] < x[static_cast<size_t>(at + c)]) best = at + c;
        });
        const auto out = static_cast<size_t>(cell * g.channels + c);
        if (best < 0 || !(x[static_cast<size_t>(best)] == y[out]))
          return invalid_argument(ctx.node().op, ": orig_output is not what orig_input gives at element ", out);
        T& to = dx[static_cast<size_t>(best)];
        to = Add::apply(to, dy[out]);
      }
    }
    return absl::OkStatus();
  }
};

template <class T> T from_sum(double sum) {
  if constexpr (std::is_integral_v<T>) {  // where cells overlap, sums of large gradients need not fit
    if (sum >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
    if (sum <= static_cast<double>(std::numeric_limits<T>::lowest())) return std::numeric_limits<T>::lowest();
  }
  return static_cast<T>(sum);
}

// Each gradient in equal parts to its cell; parts are added as doubles and cut to whole numbers at last.
template <class T> class FractionalAvgPoolGrad final : public FractionalPoolGradKernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 1 || ctx.shape(0).dim(0) != 4)
      return invalid_argument(ctx.node().op, ": original input tensor shape must be 1-dimensional and 4 elements");
    MR_ASSIGN_OR_RETURN(const TensorShape input, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const CellGrid g, grid(ctx, 2, input, ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(Tensor sums, ctx.allocate_temp(DataType::kDouble, input));
    const std::span<double> sum = sums.unchecked_mutable<double>();
    std::ranges::fill(sum, 0.0);
    for (int64_t cell = 0; cell < g.num_cells(); ++cell) {
      const auto pixels = static_cast<double>(g.pixels(cell));
      const T* from = dy.data() + cell * g.channels;
      g.each_pixel(cell, [&](int64_t at) {
        for (int64_t c = 0; c < g.channels; ++c)
          sum[static_cast<size_t>(at + c)] += static_cast<double>(from[c]) / pixels;
      });
    }
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, input));
    std::ranges::transform(sum, dx.begin(), from_sum<T>);
    return absl::OkStatus();
  }
};

// --- Shapes and gradients

absl::Status pool_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, 4));
  MR_ASSIGN_OR_RETURN(const std::vector<float> ratio, c.attr<std::vector<float>>("pooling_ratio"));
  MR_RETURN_IF_ERROR(check_ratios(c.node(), ratio));
  std::vector<int64_t> dims = to_dims(input);
  for (size_t i = 0; i < 4; ++i) {
    if (dims[i] >= 0) dims[i] = pooled_size(dims[i], ratio[i]);
  }
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape(dims)));
  for (const int i : {1, 2})
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({add_dims(dims[static_cast<size_t>(i)], 1)})));
  return absl::OkStatus();
}

absl::Status max_pool_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, 4));
  return c.set_output(0, input);
}

absl::Status avg_pool_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.as_shape(0));
  return c.set_output(0, merge(input, unknown_shape_of_rank(4)));
}

absl::Status max_pool_gradient(GradientContext& g) {
  g.set_dx(0, g.op("FractionalMaxPoolGrad", {g.x(0), g.y(0), g.dy(0), g.y(1), g.y(2)},
                   copied_attrs(g.node(), {"overlapping"})));
  return absl::OkStatus();
}

// TensorFlow's rule wants the static shape of the images to be known whole; ours asks for it in the run else.
absl::Status avg_pool_gradient(GradientContext& g) {
  constexpr std::string_view kGrad = "FractionalAvgPoolGrad";
  const auto scope = g.name_scope(kGrad);
  const Output shape = shape_of(g, g.x(0), DataType::kInt64, "orig_input_tensor_shape");
  g.set_dx(0, g.op(kGrad, {shape, g.dy(0), g.y(1), g.y(2)}, copied_attrs(g.node(), {"overlapping"}), "/"));
  return absl::OkStatus();
}

constexpr const char* kTypes = "T: {float, double, int32, int64}";

OpBuilder pool(Registry& registry, std::string_view name) {
  return registry.op(name)
      .input("value: T")
      .output("output: T")
      .output("row_pooling_sequence: int64")
      .output("col_pooling_sequence: int64")
      .attr("pooling_ratio: list(float) >= 4")
      .attr("pseudo_random: bool = false")
      .attr("overlapping: bool = false")
      .attr("deterministic: bool = false")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr(kTypes)
      .shape(pool_shape);
}

}  // namespace

void register_fractional_pooling(Registry& registry) {
  using Numbers = Types<float, double, int32_t, int64_t>;
  pool(registry, "FractionalMaxPool")
      .cpu_for<FractionalMaxPool>(Numbers())
      .gradient(max_pool_gradient)
      .doc("The maximum of each cell of a random grid that divides the images by pooling_ratio.");
  registry.op("FractionalMaxPoolGrad")
      .input("orig_input: T")
      .input("orig_output: T")
      .input("out_backprop: T")
      .input("row_pooling_sequence: int64")
      .input("col_pooling_sequence: int64")
      .output("output: T")
      .attr("overlapping: bool = false")
      .attr(kTypes)
      .shape(max_pool_grad_shape)
      .cpu_for<FractionalMaxPoolGrad>(Numbers())
      .doc("The gradient of FractionalMaxPool.");
  pool(registry, "FractionalAvgPool")
      .cpu_for<FractionalAvgPool>(Numbers())
      .gradient(avg_pool_gradient)
      .doc("The mean of each cell of a random grid that divides the images by pooling_ratio.");
  registry.op("FractionalAvgPoolGrad")
      .input("orig_input_tensor_shape: int64")
      .input("out_backprop: T")
      .input("row_pooling_sequence: int64")
      .input("col_pooling_sequence: int64")
      .output("output: T")
      .attr("overlapping: bool = false")
      .attr(kTypes)
      .shape(avg_pool_grad_shape)
      .cpu_for<FractionalAvgPoolGrad>(Numbers())
      .doc("The gradient of FractionalAvgPool.");
}

}  // namespace millrace
