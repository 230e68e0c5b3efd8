// Updates of variables of both kinds: Scatter* of rows, ScatterNd* of elements or slices named by index vectors. The
// ops that update tensors stand in scatter_nd.cc.

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/elements.h"
#include "kernels/gather.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/variable_updates.h"

namespace millrace {
namespace {

// --- How an update meets what is there

enum class Combine { kUpdate, kAdd, kSub, kMul, kDiv, kMin, kMax };

struct MulUpdate {
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    else
      return static_cast<T>(static_cast<typename UpdateType<T>::type>(a) *
                            static_cast<typename UpdateType<T>::type>(b));
  }
};
struct DivUpdate {
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      if (std::is_signed_v<T> && b == static_cast<T>(-1))
        return static_cast<T>(-static_cast<uint64_t>(a));  // the least number has no negative
      return b == 0 ? T(0) : static_cast<T>(a / b);        // zero divisors are refused before
    } else {
      return static_cast<T>(static_cast<typename UpdateType<T>::type>(a) /
                            static_cast<typename UpdateType<T>::type>(b));
    }
  }
};
struct MinUpdate {
  template <class T> static T apply(T a, T b) {
    return static_cast<typename UpdateType<T>::type>(b) < static_cast<typename UpdateType<T>::type>(a) ? b : a;
  }
};
struct MaxUpdate {
  template <class T> static T apply(T a, T b) {
    return static_cast<typename UpdateType<T>::type>(a) < static_cast<typename UpdateType<T>::type>(b) ? b : a;
  }
};

// n elements of `update` into `target`; a single element for all of them where `one_for_all`.
using Run = void (*)(void* target, int64_t target_at, const void* update, int64_t update_at, int64_t n,
                     bool one_for_all);

template <class T, class F>
void combine_run(void* target, int64_t target_at, const void* update, int64_t update_at, int64_t n, bool one_for_all) {
  T* t = static_cast<T*>(target) + target_at;
  const T* u = static_cast<const T*>(update) + update_at;
  if (one_for_all) {
    for (int64_t i = 0; i < n; ++i) t[i] = F::apply(t[i], *u);
  } else {
    for (int64_t i = 0; i < n; ++i) t[i] = F::apply(t[i], u[i]);
  }
}
template <class S>
void copy_elements(void* target, int64_t target_at, const void* update, int64_t update_at, int64_t n,
                   bool one_for_all) {
  S* t = static_cast<S*>(target) + target_at;
  const S* u = static_cast<const S*>(update) + update_at;
  if (one_for_all) std::fill_n(t, n, *u);
  else copy_run(u, t, n);
}
template <class T> Run arithmetic_of(Combine c) {
  switch (c) {
    case Combine::kAdd: return combine_run<T, AddUpdate>;
    case Combine::kSub: return combine_run<T, SubUpdate>;
    case Combine::kMul: return combine_run<T, MulUpdate>;
    case Combine::kDiv: return combine_run<T, DivUpdate>;
    case Combine::kMin:
      if constexpr (!std::is_same_v<T, Complex64> && !std::is_same_v<T, Complex128>) return combine_run<T, MinUpdate>;
      return nullptr;
    case Combine::kMax:
      if constexpr (!std::is_same_v<T, Complex64> && !std::is_same_v<T, Complex128>) return combine_run<T, MaxUpdate>;
      return nullptr;
    default: return nullptr;
  }
}
template <class... Ts> Run arithmetic_of(Combine c, DataType dtype, Types<Ts...>) {
  Run run = nullptr;
  ((dtype == dtype_of<Ts> ? void(run = arithmetic_of<Ts>(c)) : void()), ...);
  return run;
}

absl::StatusOr<Run> run_of(Combine c, DataType dtype) {
  Run run = nullptr;
  if (c == Combine::kUpdate) {
    MR_RETURN_IF_ERROR(with_storage(dtype, [&]<class S>(std::type_identity<S>) {
      run = copy_elements<S>;
      return absl::OkStatus();
    }));
  } else if (dtype == DataType::kBool && c == Combine::kAdd) {
    run = combine_run<bool, AddUpdate>;
  } else if (dtype == DataType::kBool && c == Combine::kSub) {
    run = combine_run<bool, SubUpdate>;
  } else {
    run = arithmetic_of(c, dtype, NumberTypes());
  }
  if (run == nullptr)
    return invalid_argument("No OpKernel was registered to support this scatter of ", dtype_name(dtype));
  return run;
}

template <class T> bool has_zero(const Tensor& t) {
  const auto all = t.unchecked<T>();
  return std::find(all.begin(), all.end(), T(0)) != all.end();
}
absl::Status check_divisors(Combine c, const Tensor& updates) {
  if (c != Combine::kDiv || !is_integer(updates.dtype())) return absl::OkStatus();
  bool zero = false;
  switch (updates.dtype()) {
    case DataType::kInt8: zero = has_zero<int8_t>(updates); break;
    case DataType::kUint8: zero = has_zero<uint8_t>(updates); break;
    case DataType::kInt16: zero = has_zero<int16_t>(updates); break;
    case DataType::kUint16: zero = has_zero<uint16_t>(updates); break;
    case DataType::kInt32: zero = has_zero<int32_t>(updates); break;
    case DataType::kUint32: zero = has_zero<uint32_t>(updates); break;
    case DataType::kInt64: zero = has_zero<int64_t>(updates); break;
    default: zero = has_zero<uint64_t>(updates); break;
  }
  return zero ? invalid_argument("Integer division by zero") : absl::OkStatus();
}

std::string flat_position(const TensorShape& shape, size_t i) {
  if (shape.rank() == 0) return "indices";
  std::vector<int64_t> at(static_cast<size_t>(shape.rank()));
  auto rest = static_cast<int64_t>(i);
  for (int d = shape.rank() - 1; d >= 0; --d) {
    at[static_cast<size_t>(d)] = rest % shape.dim(d);
    rest /= shape.dim(d);
  }
  std::string text = "indices[";
  for (size_t d = 0; d < at.size(); ++d) str_append(&text, d == 0 ? "" : ",", at[d]);
  return text + "]";
}

// --- Rows

PartialTensorShape variable_shape(ShapeContext& c) {
  if (c.input_type(0) != DataType::kResource) return c.input(0);
  return c.handle(0).empty() ? PartialTensorShape() : c.handle(0)[0].shape;
}

absl::Status scatter_shape(ShapeContext& c) {
  const PartialTensorShape var = variable_shape(c);
  const PartialTensorShape &indices = c.input(1), &updates = c.input(2);
  if (var.has_rank() && var.rank() < 1) return invalid_argument("params must be at least 1-D, got shape ", var);
  if (var.has_rank() && indices.has_rank() && !(updates.has_rank() && updates.rank() == 0)) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape row, make_partial_shape(var.dims().subspan(1)));
    MR_ASSIGN_OR_RETURN(const PartialTensorShape wanted, concatenate(indices, row));
    if (!wanted.is_compatible_with(updates)) {
      return invalid_argument(
          "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got updates.shape ",
          updates, ", indices.shape ", indices, ", params.shape ", var);
    }
  }
  return c.num_outputs() > 0 ? c.set_output(0, var) : absl::OkStatus();
}

template <Combine kCombine> class Scatter final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, input_.find(ctx, 0));
    const Tensor& updates = ctx.input(2);
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> rows, ctx.int_values(1));
    MR_RETURN_IF_ERROR(check_divisors(kCombine, updates));
    MR_RETURN_IF_ERROR(variable->update(ctx.node().name, [&](Tensor& t) { return scatter(ctx, t, rows, updates); }));
    return ctx.num_outputs() > 0 ? ctx.forward_ref(0, 0) : absl::OkStatus();
  }

 private:
  static absl::Status scatter(KernelContext& ctx, Tensor& t, const std::vector<int64_t>& rows, const Tensor& updates) {
    const TensorShape &var = t.shape(), &indices = ctx.shape(1);
    if (t.dtype() != updates.dtype())
      return invalid_argument("updates are ", dtype_name(updates.dtype()), ", the variable ", dtype_name(t.dtype()));
    if (var.rank() < 1) return invalid_argument("params must be at least 1-D, got shape ", var);
    const bool one_for_all = updates.rank() == 0;
    if (!one_for_all) {
      MR_ASSIGN_OR_RETURN(const TensorShape wanted, concatenate(indices, subshape(var, 1, var.rank())));
      if (!(wanted == updates.shape())) {
        return invalid_argument(
            "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got updates.shape ",
            updates.shape(), ", indices.shape ", indices, ", params.shape ", var);
      }
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] < 0 || rows[i] >= var.dim(0)) {
        return invalid_argument(flat_position(indices, i), " = ", rows[i], " is not in [0, ", var.dim(0), ")");
      }
    }
    MR_ASSIGN_OR_RETURN(const Run run, run_of(kCombine, t.dtype()));
    if (rows.empty() || t.num_elements() == 0) return absl::OkStatus();
    const int64_t row = t.num_elements() / var.dim(0);
    for (size_t i = 0; i < rows.size(); ++i) {
      run(t.raw_mutable_data(), rows[i] * row, updates.raw_data(), one_for_all ? 0 : static_cast<int64_t>(i) * row, row,
          one_for_all);
    }
    return absl::OkStatus();
  }
  VariableInput input_;
};

// --- Index vectors

// Checks indices [outer..., depth] and updates [outer..., slice...] against the shape they go into.
absl::Status check_nd(const PartialTensorShape& params, const PartialTensorShape& indices,
                      const PartialTensorShape& updates) {
  if (indices.has_rank() && indices.rank() < 1)
    return invalid_argument("Indices shape must have rank at least one. Found: ", indices);
  if (updates.has_rank() && updates.rank() < 1 && indices.has_rank() && indices.rank() > 1) {
    return invalid_argument("Updates shape must have rank at least one. Found: ", updates);
  }
  if (!indices.has_rank() || !updates.has_rank()) return absl::OkStatus();
  const int outer = indices.rank() - 1;
  const int64_t depth = indices.dim(outer);
  const auto part_error = [&](int from, int to, const char* what, const PartialTensorShape& whole, int ufrom, int uto) {
    return invalid_argument("Dimensions [", from, ",", to, ") of ", what, "[shape=", whole, "] must match dimensions [",
                            ufrom, ",", uto, ") of updates[shape=", updates, "]");
  };
  if (updates.rank() < outer) return part_error(0, outer, "indices", indices, 0, outer);
  for (int d = 0; d < outer; ++d) {
    if (indices.dim(d) >= 0 && updates.dim(d) >= 0 && indices.dim(d) != updates.dim(d))
      return part_error(0, outer, "indices", indices, 0, outer);
  }
  if (!params.has_rank() || depth < 0) return absl::OkStatus();
  const auto fail = [&] {
    return part_error(static_cast<int>(depth), params.rank(), "input", params, outer, updates.rank());
  };
  if (depth > params.rank() || updates.rank() - outer != params.rank() - depth) return fail();
  for (int d = 0; d < params.rank() - static_cast<int>(depth); ++d) {
    const int64_t a = params.dim(static_cast<int>(depth) + d), b = updates.dim(outer + d);
    if (a >= 0 && b >= 0 && a != b) return fail();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ignores_bad_indices(KernelInit& init) {
  MR_ASSIGN_OR_RETURN(const std::string policy, init.attr<std::string>("bad_indices_policy"));
  if (policy.empty() || policy == "DEFAULT" || policy == "ERROR") return false;
  if (policy == "IGNORE") return true;
  return invalid_argument("Invalid bad_indices_policy: ", policy);
}

absl::Status scatter_nd(Combine combine, KernelContext& ctx, Tensor& target, int indices_input, const Tensor& updates,
                        bool ignore_bad) {
  const TensorShape &params = target.shape(), &shape = ctx.shape(indices_input);
  if (target.dtype() != updates.dtype())
    return invalid_argument("updates are ", dtype_name(updates.dtype()), ", not ", dtype_name(target.dtype()));
  MR_RETURN_IF_ERROR(check_nd(params, shape, updates.shape()));
  MR_RETURN_IF_ERROR(check_divisors(combine, updates));
  MR_ASSIGN_OR_RETURN(const Run run, run_of(combine, target.dtype()));
  const int64_t depth = shape.dim(shape.rank() - 1);
  int64_t count = 1;
  for (int d = 0; d + 1 < shape.rank(); ++d) count *= shape.dim(d);
  if (params.num_elements() == 0) {
    if (count > 0 && updates.num_elements() > 0) {
      return invalid_argument("Indices and updates specified for empty output.  indices shape: ", shape);
    }
    return absl::OkStatus();
  }
  if (count == 0) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ctx.int_values(indices_input));
  int64_t slice = 1;
  for (int d = static_cast<int>(depth); d < params.rank(); ++d) slice *= params.dim(d);
  std::vector<int64_t> positions(static_cast<size_t>(count));
  const auto dims = params.dims().first(static_cast<size_t>(depth));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t* components = indices.data() + i * depth;
    const int64_t position = nd_position(components, dims);
    positions[static_cast<size_t>(i)] = position;
    if (position < 0 && !ignore_bad) {
      std::string text;
      for (int64_t d = 0; d < depth; ++d) str_append(&text, d == 0 ? "" : ",", components[d]);
      const TensorShape outer = subshape(shape, 0, shape.rank() - 1);
      return invalid_argument(flat_position(outer, static_cast<size_t>(i)), " = [", text,
                              "] does not index into shape ", params);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    if (positions[static_cast<size_t>(i)] < 0) continue;
    run(target.raw_mutable_data(), positions[static_cast<size_t>(i)] * slice, updates.raw_data(), i * slice, slice,
        false);
  }
  return absl::OkStatus();
}

absl::Status scatter_nd_variable_shape(ShapeContext& c) {
  const PartialTensorShape var = variable_shape(c);
  MR_RETURN_IF_ERROR(check_nd(var, c.input(1), c.input(2)));
  return c.num_outputs() > 0 ? c.set_output(0, var) : absl::OkStatus();
}

template <Combine kCombine> class ScatterNdVariable final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(ignore_bad_, ignores_bad_indices(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, input_.find(ctx, 0));
    MR_RETURN_IF_ERROR(variable->update(
        ctx.node().name, [&](Tensor& t) { return scatter_nd(kCombine, ctx, t, 1, ctx.input(2), ignore_bad_); }));
    return ctx.num_outputs() > 0 ? ctx.forward_ref(0, 0) : absl::OkStatus();
  }

 private:
  VariableInput input_;
  bool ignore_bad_ = false;
};

// --- Registration

constexpr const char kNumber[] =
    ": {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, quint16, "
    "uint16, "
    "complex128, half, uint32, uint64}";

template <Combine kCombine> void register_rows(Registry& registry, const char* name, const char* does) {
  constexpr bool kUpdate = kCombine == Combine::kUpdate;
  constexpr bool kExtreme = kCombine == Combine::kMin || kCombine == Combine::kMax;
  const std::string number(kNumber);
  registry.op(std::string("Scatter") + name)
      .input("ref: Ref(T)")
      .input("indices: Tindices")
      .input("updates: T")
      .output("output_ref: Ref(T)")
      .attr(kUpdate    ? "T: type"
            : kExtreme ? "T: {half, bfloat16, float, double, int32, int64}"
                       : "T" + number)
      .attr("Tindices: {int32, int64}")
      .attr(kUpdate ? "use_locking: bool = true" : "use_locking: bool = false")
      .shape(scatter_shape)
      .template cpu<Scatter<kCombine>>()
      .not_differentiable()
      .doc(std::string(does) + " rows of the variable.");
  registry.op(std::string("ResourceScatter") + name)
      .input("resource: resource")
      .input("indices: Tindices")
      .input("updates: dtype")
      .attr(kUpdate ? "dtype: type" : "dtype" + number)
      .attr("Tindices: {int32, int64}")
      .stateful()
      .shape(scatter_shape)
      .template cpu<Scatter<kCombine>>()
      .not_differentiable()
      .doc(std::string(does) + " rows of the variable.");
}

template <Combine kCombine> void register_nd(Registry& registry, const char* name, const char* does) {
  constexpr bool kUpdate = kCombine == Combine::kUpdate;
  const std::string doc = std::string(does) + " the elements or slices that index vectors name.";
  registry.op(std::string("ScatterNd") + name)
      .input("ref: Ref(T)")
      .input("indices: Tindices")
      .input("updates: T")
      .output("output_ref: Ref(T)")
      .attr(kUpdate ? std::string("T: type") : "T" + std::string(kNumber))
      .attr("Tindices: {int32, int64}")
      .attr(kUpdate ? "use_locking: bool = true" : "use_locking: bool = false")
      .attr("bad_indices_policy: string = ''")
      .shape(scatter_nd_variable_shape)
      .template cpu<ScatterNdVariable<kCombine>>()
      .not_differentiable()
      .doc(doc);
  registry.op(std::string("ResourceScatterNd") + name)
      .input("ref: resource")
      .input("indices: Tindices")
      .input("updates: T")
      .attr("T: type")
      .attr("Tindices: {int32, int64}")
      .attr("use_locking: bool = true")
      .attr("bad_indices_policy: string = ''")
      .stateful()
      .shape(scatter_nd_variable_shape)
      .template cpu<ScatterNdVariable<kCombine>>()
      .not_differentiable()
      .doc(doc);
}

}  // namespace

void register_scatter(Registry& registry) {
  register_rows<Combine::kUpdate>(registry, "Update", "Replaces");
  register_rows<Combine::kAdd>(registry, "Add", "Adds to");
  register_rows<Combine::kSub>(registry, "Sub", "Subtracts from");
  register_rows<Combine::kMul>(registry, "Mul", "Multiplies");
  register_rows<Combine::kDiv>(registry, "Div", "Divides");
  register_rows<Combine::kMin>(registry, "Min", "Takes the minimum with");
  register_rows<Combine::kMax>(registry, "Max", "Takes the maximum with");
  register_nd<Combine::kUpdate>(registry, "Update", "Replaces");
  register_nd<Combine::kAdd>(registry, "Add", "Adds to");
  register_nd<Combine::kSub>(registry, "Sub", "Subtracts from");
  register_nd<Combine::kMin>(registry, "Min", "Takes the minimum with");
  register_nd<Combine::kMax>(registry, "Max", "Takes the maximum with");
}

}  // namespace millrace
