// Where the extremes are: ArgMax, ArgMin, TopK, InTopK.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

template <class T> auto comparable(T x) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return static_cast<float>(x);
  else if constexpr (std::is_same_v<T, bool>) return static_cast<uint8_t>(x);
  else return x;
}

// ---- ArgMax, ArgMin ----

// The index of the first greatest (smallest) element; NaN is never chosen over a number, and index 0 if there are only
// NaNs.
template <class T, bool greatest> class ArgExtreme final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    const TensorShape& shape = ctx.shape(0);
    if (ctx.shape(1).rank() != 0)
      return invalid_argument("dim must be a scalar, but received tensor of shape: ", ctx.shape(1));
    int64_t dimension;
    if (ctx.input(1).dtype() == DataType::kInt16) {
      MR_ASSIGN_OR_RETURN(const int16_t narrow, ctx.scalar<int16_t>(1));
      dimension = narrow;
    } else {
      MR_ASSIGN_OR_RETURN(dimension, ctx.int_scalar(1));
    }
    const int64_t axis = dimension < 0 ? dimension + shape.rank() : dimension;
    if (axis < 0 || axis >= shape.rank())
      return invalid_argument("Expected dimension in the range [", -shape.rank(), ", ", shape.rank(), "), but got ",
                              dimension);
    const int at = static_cast<int>(axis);
    const int64_t n = shape.dim(at);
    if (n == 0) return invalid_argument("Reduction axis ", dimension, " is empty in shape ", shape);
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.allocate_output(0, remove_dim(shape, at)));
    int64_t outer = 1, inner = 1;
    for (int d = 0; d < shape.rank(); ++d)
      if (d != at) (d < at ? outer : inner) *= shape.dim(d);
    if (out->num_elements() == 0) return absl::OkStatus();
    Writer writer(out);
    if (inner == 1) {
      parallel_for(outer, static_cast<double>(n) + 2, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) writer.set(i, search(x.data() + i * n, n));
      });
      return absl::OkStatus();
    }
    parallel_for(outer, static_cast<double>(n * inner), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) search_columns(x.data() + i * n * inner, n, inner, i * inner, writer);
    });
    return absl::OkStatus();
  }

 private:
  static bool better(T candidate, T best) {
    const auto c = comparable(candidate), b = comparable(best);
    if constexpr (std::is_floating_point_v<decltype(c)>)
      if (b != b) return c == c;  // anything beats a NaN
    return greatest ? c > b : c < b;
  }
  static int64_t search(const T* x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i)
      if (better(x[i], x[best])) best = i;
    return best;
  }
  struct Writer {
    explicit Writer(Tensor* out) : dtype(out->dtype()), data(out->raw_mutable_data()) {}
    void set(int64_t i, int64_t v) const {
      switch (dtype) {
        case DataType::kInt32: static_cast<int32_t*>(data)[i] = static_cast<int32_t>(v); break;
        case DataType::kInt16: static_cast<int16_t*>(data)[i] = static_cast<int16_t>(v); break;
        case DataType::kUint16: static_cast<uint16_t*>(data)[i] = static_cast<uint16_t>(v); break;
        default: static_cast<int64_t*>(data)[i] = v;
      }
    }
    DataType dtype;
    void* data;
  };
  static void search_columns(const T* x, int64_t n, int64_t inner, int64_t out, const Writer& writer) {
    constexpr int64_t kBlock = 256;
    T best[kBlock];
    int64_t index[kBlock];
    for (int64_t column = 0; column < inner; column += kBlock) {
      const int64_t m = std::min(kBlock, inner - column);
      std::copy_n(x + column, m, best);
      std::fill_n(index, m, 0);
      for (int64_t i = 1; i < n; ++i) {
        const T* row = x + i * inner + column;
        for (int64_t j = 0; j < m; ++j) {
          if (better(row[j], best[j])) {
            best[j] = row[j];
            index[j] = i;
          }
        }
      }
      for (int64_t j = 0; j < m; ++j) writer.set(out + column + j, index[j]);
    }
  }
};
template <class T> using ArgMax = ArgExtreme<T, true>;
template <class T> using ArgMin = ArgExtreme<T, false>;

absl::Status arg_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dimension, c.with_rank(1, 0));
  const PartialTensorShape& x = c.input(0);
  if (!x.has_rank()) return c.set_output(0, PartialTensorShape());
  if (x.rank() == 0) {
    // TensorFlow lets a scalar's axis 0 or -1 through here; its kernel refuses it.
    return c.set_output(0, PartialTensorShape::scalar());
  }
  int64_t value;
  if (c.input_type(1) == DataType::kInt16) {
    const Tensor* t = c.value(1);
    if (t == nullptr || t->num_elements() != 1) return c.set_output(0, unknown_shape_of_rank(x.rank() - 1));
    value = t->unchecked<int16_t>()[0];
  } else {
    MR_ASSIGN_OR_RETURN(const auto known, c.int_scalar(1));
    if (!known) return c.set_output(0, unknown_shape_of_rank(x.rank() - 1));
    value = *known;
  }
  const int64_t axis = value < 0 ? value + x.rank() : value;
  if (axis < 0 || axis >= x.rank())
    return invalid_argument("Dimension (", value, ") must be in the range [", -x.rank(), ", ", x.rank(), "), where ",
                            x.rank(), " is the number of dimensions in the input.");
  std::vector<int64_t> dims;
  for (int d = 0; d < x.rank(); ++d)
    if (d != axis) dims.push_back(x.dim(d));
  return c.set_output(0, make_partial_shape(dims));
}

// ---- TopK ----

// What a row is compared as: few types, so that sorting is compiled for few.
template <class T>
using Key = std::conditional_t<std::is_same_v<T, double>, double,
                               std::conditional_t<std::is_same_v<T, uint64_t>, uint64_t,
                                                  std::conditional_t<std::is_integral_v<T>, int64_t, float>>>;

template <class K> bool before(K x, K y) {  // NaN first: any order will do, but it must be one
  if constexpr (std::is_floating_point_v<K>) {
    if (x != x) return y == y;
    if (y != y) return false;
  }
  return x > y;
}

// The first k of `order`, which is a permutation of [0, n), by keys; of equal keys the first comes first.
template <class K> void sort_top(const K* keys, int64_t n, int64_t k, int64_t* order) {
  auto less = [keys](int64_t a, int64_t b) {
    if (before(keys[a], keys[b])) return true;
    if (before(keys[b], keys[a])) return false;
    return a < b;
  };
  if (k < n) std::nth_element(order, order + k, order + n, less);
  std::sort(order, order + k, less);
}

void write_index(DataType dtype, void* out, int64_t i, int64_t v) {
  switch (dtype) {
    case DataType::kInt16: static_cast<int16_t*>(out)[i] = static_cast<int16_t>(v); break;
    case DataType::kInt32: static_cast<int32_t*>(out)[i] = static_cast<int32_t>(v); break;
    default: static_cast<int64_t*>(out)[i] = v;
  }
}

int64_t largest_index(DataType dtype) {
  if (dtype == DataType::kInt16) return std::numeric_limits<int16_t>::max();
  if (dtype == DataType::kInt32) return std::numeric_limits<int32_t>::max();
  return std::numeric_limits<int64_t>::max();
}

template <class T> class TopK final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    if (init.has_attr("k")) {
      MR_ASSIGN_OR_RETURN(k_, init.attr<int64_t>("k"));
    }
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    int64_t k = k_;
    if (ctx.num_inputs() > 1) {
      if (ctx.shape(1).rank() != 0) return invalid_argument("k must be scalar, got shape ", ctx.shape(1));
      if (ctx.input(1).dtype() == DataType::kInt16) {
        MR_ASSIGN_OR_RETURN(const int16_t narrow, ctx.scalar<int16_t>(1));
        k = narrow;
      } else {
        MR_ASSIGN_OR_RETURN(k, ctx.int_scalar(1));
      }
    }
    if (k < 0) return invalid_argument("Need k >= 0, got ", k);
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() < 1) return invalid_argument("input must be >= 1-D, got shape ", shape);
    const int64_t n = shape.dim(shape.rank() - 1);
    if (n < k) return invalid_argument("input must have at least k columns. Had ", n, ", needed ", k);
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, with_dim(shape, shape.rank() - 1, k));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.output<T>(0, out_shape));
    MR_ASSIGN_OR_RETURN(Tensor* const indices, ctx.allocate_output(1, out_shape));
    const DataType index_type = indices->dtype();
    if (n > largest_index(index_type))
      return invalid_argument("input has ", n, " columns, more than the indices' type can count");
    if (values.empty()) return absl::OkStatus();
    void* const index_data = indices->raw_mutable_data();
    const int64_t rows = static_cast<int64_t>(x.size()) / n;
    parallel_for(rows, static_cast<double>(n) * (k == 1 ? 1.0 : 10.0), [&](int64_t begin, int64_t end) {
      std::vector<Key<T>> keys(static_cast<size_t>(n));
      std::vector<int64_t> order(k == 1 ? 0 : static_cast<size_t>(n));
      for (int64_t row = begin; row < end; ++row) {
        const T* from = x.data() + row * n;
        for (int64_t i = 0; i < n; ++i) keys[static_cast<size_t>(i)] = static_cast<Key<T>>(comparable(from[i]));
        int64_t best = 0;
        if (k == 1) {
          for (int64_t i = 1; i < n; ++i)
            if (before(keys[static_cast<size_t>(i)], keys[static_cast<size_t>(best)])) best = i;
        } else {
          std::iota(order.begin(), order.end(), int64_t{0});
          sort_top(keys.data(), n, k, order.data());
        }
        for (int64_t i = 0; i < k; ++i) {
          const int64_t at = k == 1 ? best : order[static_cast<size_t>(i)];
          values[static_cast<size_t>(row * k + i)] = from[at];
          write_index(index_type, index_data, row * k + i, at);
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  int64_t k_ = 0;
};

absl::Status top_k_shape_of(ShapeContext& c, std::optional<int64_t> k) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape x, c.with_rank_at_least(0, 1));
  if (k && *k < 0) return invalid_argument("Need k >= 0, got ", *k);
  if (!x.has_rank()) {
    MR_RETURN_IF_ERROR(c.set_output(0, PartialTensorShape()));
    return c.set_output(1, PartialTensorShape());
  }
  const int64_t n = x.dim(x.rank() - 1);
  if (n >= 0 && k && n < *k) return invalid_argument("input must have last dimension >= k = ", *k, " but is ", n);
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims.back() = k.value_or(-1);
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape(dims)));
  return c.set_output(1, make_partial_shape(dims));
}
absl::Status top_k_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t k, c.attr<int64_t>("k"));
  return top_k_shape_of(c, k);
}
absl::Status top_k_v2_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape scalar, c.with_rank(1, 0));
  if (c.input_type(1) == DataType::kInt16) {
    const Tensor* t = c.value(1);
    return top_k_shape_of(
        c, t != nullptr && t->num_elements() == 1 ? std::optional<int64_t>(t->unchecked<int16_t>()[0]) : std::nullopt);
  }
  MR_ASSIGN_OR_RETURN(const auto k, c.int_scalar(1));
  return top_k_shape_of(c, k);
}

absl::Status top_k_gradient(GradientContext& g) {
  const Output x = g.x(0), indices = g.y(1), dy = g.dy(0);
  const Output in_shape = shape(g, x), index_shape = shape(g, indices);
  // The last dimension of a shape vector, as int64.
  auto last_dim = [&](const Output& dims) {
    const Output wide = cast(g, dims, DataType::kInt64);
    const Output at = sub(g, size_of(g, dims), 1.0);
    return gather(g, wide, at);
  };
  const Output index_last = last_dim(index_shape);
  Output stacked;
  {
    const auto scope = g.name_scope("stack");
    const Output minus_one = scalar(g, DataType::kInt64, -1, "0");
    stacked = stack(g, {minus_one, index_last}, "/");
  }
  const Output rows_of_indices = reshape(g, indices, stacked);
  const Output in_last = last_dim(in_shape);
  const Output rows_shape = shape(g, rows_of_indices);
  Output outer;
  {
    const auto scope = g.name_scope("strided_slice");
    const Output begin = int_list(g, {0}, "stack"), end = int_list(g, {1}, "stack_1"),
                 step = int_list(g, {1}, "stack_2");
    outer = g.op("StridedSlice", {rows_shape, begin, end, step}, {{"shrink_axis_mask", int64_t{1}}}, "/");
  }
  const Output limit = mul(g, cast(g, outer, DataType::kInt64), in_last);
  Output starts;
  {
    const auto scope = g.name_scope("range");
    const Output zero = g.int32_scalar(0, "start");
    const Output first = cast(g, zero, DataType::kInt64);
    starts = g.op("Range", {first, limit, in_last}, {}, "/");
  }
  auto last_axis = [&](const Output& v) {
    return op_with_literal(g, "ExpandDims", v, Tensor(int32_t{-1}), "dim", "ExpandDims");
  };
  const Output offsets = cast(g, last_axis(starts), DataType::kInt32);
  const Output flat = reshape(g, add(g, rows_of_indices, offsets), std::vector<int32_t>{-1});
  const Output where = last_axis(flat);
  const Output updates = reshape(g, dy, std::vector<int32_t>{-1});
  const Output total = reduce_all(g, "Prod", in_shape);
  Output scattered;
  {
    const auto scope = g.name_scope("ScatterNd");
    const Output dims = stack(g, {total}, "shape");
    scattered = g.op("ScatterNd", {where, updates, dims}, {}, "/");
  }
  g.set_dx(0, reshape(g, scattered, in_shape));
  const Output zero = scalar(g, DataType::kInt32, 0, "zeros");
  if (g.num_inputs() > 1) g.set_dx(1, zero);
  return absl::OkStatus();
}

// ---- InTopK ----

template <class I> class InTopK final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    if (init.has_attr("k")) {
      MR_ASSIGN_OR_RETURN(k_, init.attr<int64_t>("k"));
    }
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto predictions, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const auto targets, ctx.flat<I>(1));
    int64_t k = k_;
    if (ctx.num_inputs() > 2) {
      if (ctx.shape(2).rank() != 0) return invalid_argument("k must be a scalar but got shape: ", ctx.shape(2));
      MR_ASSIGN_OR_RETURN(k, ctx.int_scalar(2));
    }
    if (ctx.shape(0).rank() != 2) return invalid_argument("predictions must be 2-dimensional");
    if (ctx.shape(1).rank() != 1) return invalid_argument("targets must be 1-dimensional");
    const int64_t rows = ctx.shape(0).dim(0), classes = ctx.shape(0).dim(1);
    if (rows != ctx.shape(1).dim(0))
      return invalid_argument("First dimension of predictions ", rows, " must match length of targets ",
                              ctx.shape(1).dim(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<bool>(0, ctx.shape(1)));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = in_top(predictions.data() + i * static_cast<size_t>(classes), classes, targets[i], k);
    return absl::OkStatus();
  }

 private:
  // Fewer than k predictions beat the target's; rows with a prediction that is not finite have no top.
  static bool in_top(const float* row, int64_t classes, int64_t target, int64_t k) {
    if (target < 0 || target >= classes || !std::isfinite(row[target])) return false;
    int64_t better = 0;
    for (int64_t c = 0; c < classes; ++c) {
      if (!std::isfinite(row[c])) return false;
      better += row[c] > row[target];
    }
    return better < k;
  }
  int64_t k_ = 0;
};

absl::Status in_top_k_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape predictions, c.with_rank(0, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape targets, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rows,
                      make_partial_shape({predictions.has_rank() ? predictions.dim(0) : -1}));
  return c.set_output(0, merge(rows, targets));
}

absl::Status no_gradient(GradientContext&) { return absl::OkStatus(); }

using ArgExtremeTypes = Types<bool, Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                              uint32_t, uint64_t>;

}  // namespace

void register_argmax(Registry& r) {
  constexpr std::string_view kTypes =
      "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64, qint8, quint8, "
      "qint32, qint16, quint16, bool}";
  constexpr std::string_view kReals =
      "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}";
  r.op("ArgMax")
      .input("input: T")
      .input("dimension: Tidx")
      .output("output: output_type")
      .attr(kTypes)
      .attr("Tidx: {int16, int32, int64} = DT_INT32")
      .attr("output_type: {int16, uint16, int32, int64} = DT_INT64")
      .shape(arg_shape)
      .gradient(no_gradient)
      .cpu_for<ArgMax>(ArgExtremeTypes{})
      .doc("The index of the greatest element along a dimension.");
  r.op("ArgMin")
      .input("input: T")
      .input("dimension: Tidx")
      .output("output: output_type")
      .attr(kTypes)
      .attr("Tidx: {int32, int64} = DT_INT32")
      .attr("output_type: {int32, int64} = DT_INT64")
      .shape(arg_shape)
      .gradient(no_gradient)
      .cpu_for<ArgMin>(ArgExtremeTypes{})
      .doc("The index of the smallest element along a dimension.");
  r.op("TopK")
      .input("input: T")
      .output("values: T")
      .output("indices: int32")
      .attr("k: int >= 0")
      .attr("sorted: bool = true")
      .attr(kReals)
      .shape(top_k_shape)
      .gradient(top_k_gradient)
      .cpu_for<TopK>(RealTypes{})
      .doc("The k greatest elements of each row, and where they are.");
  r.op("TopKV2")
      .input("input: T")
      .input("k: Tk")
      .output("values: T")
      .output("indices: index_type")
      .attr("sorted: bool = true")
      .attr(kReals)
      .attr("Tk: {int16, int32, int64} = DT_INT32")
      .attr("index_type: {int16, int32, int64} = DT_INT32")
      .shape(top_k_v2_shape)
      .gradient(top_k_gradient)
      .cpu_for<TopK>(RealTypes{})
      .doc("The k greatest elements of each row, and where they are.");
  r.op("InTopK")
      .input("predictions: float")
      .input("targets: T")
      .output("precision: bool")
      .attr("k: int")
      .attr("T: {int32, int64} = DT_INT32")
      .shape(in_top_k_shape)
      .cpu<InTopK, int32_t, int64_t>()
      .doc("Whether fewer than k predictions are greater than the target's.");
  r.op("InTopKV2")
      .input("predictions: float")
      .input("targets: T")
      .input("k: T")
      .output("precision: bool")
      .attr("T: {int32, int64} = DT_INT32")
      .shape(in_top_k_shape)
      .cpu<InTopK, int32_t, int64_t>()
      .doc("Whether fewer than k predictions are greater than the target's.");
}

}  // namespace millrace
