// Distinct values: Unique and its versions, ListDiff.

#include <array>
#include <bit>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "kernels/elements.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"

namespace millrace {
namespace {

// What makes two elements equal: a number of 64 bits, in which -0 is 0. NaN equals nothing, itself included.
struct Key {
  uint64_t bits = 0;
  bool is_nan = false;
};
Key key_of(double v) { return v == 0 ? Key{} : Key{std::bit_cast<uint64_t>(v), std::isnan(v)}; }

template <class S> Key key_of(DataType dtype, const S& s) {
  if constexpr (sizeof(S) == 2) {
    if (dtype == DataType::kHalf) return key_of(static_cast<double>(static_cast<float>(Half::from_bits(s))));
    if (dtype == DataType::kBfloat16) return key_of(static_cast<double>(static_cast<float>(BFloat16::from_bits(s))));
  } else if constexpr (sizeof(S) == 4) {
    if (dtype == DataType::kFloat) return key_of(static_cast<double>(std::bit_cast<float>(s)));
  } else if constexpr (sizeof(S) == 8) {
    if (dtype == DataType::kDouble) return key_of(std::bit_cast<double>(s));
  }
  return {s, false};
}

// Numbers groups of equal keys in the order of their first member.
class Groups {
 public:
  // Position i has this key; returns its group.
  template <class Map, class K> int64_t add(Map& map, int64_t i, const K& key, bool is_nan) {
    if (!is_nan) {
      const auto [at, is_new] = map.try_emplace(key, static_cast<int64_t>(first.size()));
      if (!is_new) {
        ++count[static_cast<size_t>(at->second)];
        return at->second;
      }
    }
    first.push_back(i);
    count.push_back(1);
    return static_cast<int64_t>(first.size()) - 1;
  }
  std::vector<int64_t> first, count;
};

// A key for elements or rows of any kind, as bytes.
template <class S> void append_key(DataType dtype, const S& s, std::string* key, bool* is_nan) {
  if constexpr (std::is_same_v<S, std::string>) {
    const uint64_t length = s.size();
    key->append(reinterpret_cast<const char*>(&length), sizeof length);
    key->append(s);
  } else if constexpr (std::is_same_v<S, Bits128>) {
    for (const double part : std::bit_cast<std::array<double, 2>>(s)) {
      const Key k = key_of(part);
      key->append(reinterpret_cast<const char*>(&k.bits), sizeof k.bits);
      *is_nan |= k.is_nan;
    }
  } else if constexpr (std::is_integral_v<S>) {
    if constexpr (sizeof(S) == 8) {
      if (dtype == DataType::kComplex64) {
        for (const float part : std::bit_cast<std::array<float, 2>>(s)) {
          const Key k = key_of(static_cast<double>(part));
          key->append(reinterpret_cast<const char*>(&k.bits), sizeof k.bits);
          *is_nan |= k.is_nan;
        }
        return;
      }
    }
    const Key k = key_of(dtype, s);
    key->append(reinterpret_cast<const char*>(&k.bits), sizeof k.bits);
    *is_nan |= k.is_nan;
  }
}

bool has_short_keys(DataType dtype) { return is_pod(dtype) && dtype_size(dtype) <= 8 && dtype != DataType::kComplex64; }

// The group of each of the `n` rows along an axis: x is [outer, n, inner].
template <class S>
std::vector<int64_t> group_rows(DataType dtype, const S* x, int64_t outer, int64_t n, int64_t inner, Groups* groups) {
  std::vector<int64_t> ids(static_cast<size_t>(n));
  if constexpr (std::is_integral_v<S>) {
    if (outer == 1 && inner == 1 && has_short_keys(dtype)) {
      absl::flat_hash_map<uint64_t, int64_t> map;
      for (int64_t i = 0; i < n; ++i) {
        const Key key = key_of(dtype, x[i]);
        ids[static_cast<size_t>(i)] = groups->add(map, i, key.bits, key.is_nan);
      }
      return ids;
    }
  }
  absl::flat_hash_map<std::string, int64_t> map;
  for (int64_t i = 0; i < n; ++i) {
    std::string key;
    bool is_nan = false;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t k = 0; k < inner; ++k) append_key(dtype, x[(o * n + i) * inner + k], &key, &is_nan);
    }
    ids[static_cast<size_t>(i)] = groups->add(map, i, key, is_nan);
  }
  return ids;
}

absl::Status unique_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.set_output(0, unknown_shape_of_rank(1)));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape x, c.with_rank(0, 1));
  MR_RETURN_IF_ERROR(c.set_output(1, x));
  return c.num_outputs() > 2 ? c.set_output(2, unknown_shape_of_rank(1)) : absl::OkStatus();
}

absl::Status unique_v2_shape(ShapeContext& c) {
  const PartialTensorShape& x = c.input(0);
  MR_RETURN_IF_ERROR(c.set_output(1, unknown_shape_of_rank(1)));
  if (c.num_outputs() > 2) MR_RETURN_IF_ERROR(c.set_output(2, unknown_shape_of_rank(1)));
  return x.has_rank() ? c.set_output(0, unknown_shape_of_rank(x.rank())) : absl::OkStatus();
}

template <class I> absl::Status set_ints(KernelContext& ctx, int output, const std::vector<int64_t>& values) {
  if (values.size() > static_cast<size_t>(std::numeric_limits<I>::max())) {
    return invalid_argument("unique does not support input tensors larger than ", std::numeric_limits<I>::max(),
                            " elements");
  }
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(values.size())}));
  MR_ASSIGN_OR_RETURN(const std::span<I> out, ctx.output<I>(output, shape));
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<I>(values[i]);
  return absl::OkStatus();
}

template <class I> class Unique final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor x = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const int axis, axis_of(ctx, x));
    int64_t outer = 1;
    int64_t inner = 1;
    for (int d = 0; d < x.rank(); ++d) {
      if (d != axis) (d < axis ? outer : inner) *= x.dim(d);
    }
    const int64_t n = x.dim(axis);
    return with_storage(x.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      if constexpr (std::is_same_v<S, ResourceHandle> || std::is_same_v<S, Variant>) {
        return unimplemented("Unique of ", dtype_name(x.dtype()), " values");
      } else {
        Groups groups;
        const S* src = static_cast<const S*>(x.raw_data());
        const std::vector<int64_t> ids = group_rows(x.dtype(), src, outer, n, inner, &groups);
        MR_ASSIGN_OR_RETURN(const TensorShape shape,
                            with_dim(x.shape(), axis, static_cast<int64_t>(groups.first.size())));
        MR_ASSIGN_OR_RETURN(Tensor * y, ctx.allocate_output(0, shape));
        S* dst = static_cast<S*>(y->raw_mutable_data());
        for (int64_t o = 0; o < outer; ++o) {
          for (const int64_t row : groups.first) {
            copy_run(src + (o * n + row) * inner, dst, inner);
            dst += inner;
          }
        }
        MR_RETURN_IF_ERROR(set_ints<I>(ctx, 1, ids));
        return ctx.num_outputs() > 2 ? set_ints<I>(ctx, 2, groups.count) : absl::OkStatus();
      }
    });
  }

 private:
  static absl::StatusOr<int> axis_of(KernelContext& ctx, const Tensor& x) {
    std::vector<int64_t> given;
    if (ctx.num_inputs() > 1) {
      if (ctx.input(1).rank() != 1) return invalid_argument("axis expects a 1D vector.");
      MR_ASSIGN_OR_RETURN(given, ctx.int_values(1));
      if (given.size() > 1) return invalid_argument("axis does not support input tensors larger than 1 elements");
    }
    if (given.empty()) {
      if (x.rank() != 1) return invalid_argument("unique expects a 1D vector.");
      return 0;
    }
    if (given[0] < -x.rank() || given[0] >= x.rank())
      return invalid_argument("axis has to be between [0, ", x.rank(), ")");
    return static_cast<int>(given[0] < 0 ? given[0] + x.rank() : given[0]);
  }
};

// ---- ListDiff

absl::Status list_diff_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_RETURN_IF_ERROR(c.set_output(0, unknown_shape_of_rank(1)));
  return c.set_output(1, unknown_shape_of_rank(1));
}

template <class I> class ListDiff final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor x = ctx.input(0);
    const Tensor y = ctx.input(1);
    if (x.rank() != 1) return invalid_argument("x should be a 1D vector.");
    if (y.rank() != 1) return invalid_argument("y should be a 1D vector.");
    if (x.dtype() == DataType::kResource || x.dtype() == DataType::kVariant)
      return unimplemented("ListDiff of ", dtype_name(x.dtype()), " values");
    return with_storage(x.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      absl::flat_hash_set<std::string> known;
      const S* ys = static_cast<const S*>(y.raw_data());
      for (int64_t i = 0; i < y.num_elements(); ++i) {
        std::string key;
        bool is_nan = false;
        append_key(y.dtype(), ys[i], &key, &is_nan);
        if (!is_nan) known.insert(std::move(key));
      }
      const S* xs = static_cast<const S*>(x.raw_data());
      std::vector<int64_t> kept;
      for (int64_t i = 0; i < x.num_elements(); ++i) {
        std::string key;
        bool is_nan = false;
        append_key(x.dtype(), xs[i], &key, &is_nan);
        if (is_nan || !known.contains(key)) kept.push_back(i);
      }
      MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(kept.size())}));
      MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
      S* dst = static_cast<S*>(out->raw_mutable_data());
      for (const int64_t i : kept) *dst++ = xs[i];
      return set_ints<I>(ctx, 1, kept);
    });
  }
};

}  // namespace

void register_unique(Registry& registry) {
  registry.op("Unique")
      .input("x: T")
      .output("y: T")
      .output("idx: out_idx")
      .attr("T: type")
      .attr("out_idx: {int32, int64} = DT_INT32")
      .shape(unique_shape)
      .cpu<Unique, int32_t, int64_t>("out_idx")
      .doc("The distinct values of a vector in the order of their first appearance, and where each element's stands.");
  registry.op("UniqueV2")
      .input("x: T")
      .input("axis: Taxis")
      .output("y: T")
      .output("idx: out_idx")
      .attr("T: type")
      .attr("Taxis: {int32, int64} = DT_INT64")
      .attr("out_idx: {int32, int64} = DT_INT32")
      .shape(unique_v2_shape)
      .cpu<Unique, int32_t, int64_t>("out_idx")
      .doc("The distinct slices along an axis.");
  registry.op("UniqueWithCounts")
      .input("x: T")
      .output("y: T")
      .output("idx: out_idx")
      .output("count: out_idx")
      .attr("T: type")
      .attr("out_idx: {int32, int64} = DT_INT32")
      .shape(unique_shape)
      .cpu<Unique, int32_t, int64_t>("out_idx")
      .doc("Unique, with the number of times that each value appears.");
  registry.op("UniqueWithCountsV2")
      .input("x: T")
      .input("axis: Taxis")
      .output("y: T")
      .output("idx: out_idx")
      .output("count: out_idx")
      .attr("T: type")
      .attr("Taxis: {int32, int64} = DT_INT64")
      .attr("out_idx: {int32, int64} = DT_INT32")
      .shape(unique_v2_shape)
      .cpu<Unique, int32_t, int64_t>("out_idx")
      .doc("UniqueV2, with the number of times that each slice appears.");
  registry.op("ListDiff")
      .input("x: T")
      .input("y: T")
      .output("out: T")
      .output("idx: out_idx")
      .attr("T: type")
      .attr("out_idx: {int32, int64} = DT_INT32")
      .shape(list_diff_shape)
      .cpu<ListDiff, int32_t, int64_t>("out_idx")
      .not_differentiable()
      .doc("The elements of x that y does not have, and where they stood.");
}

}  // namespace millrace
