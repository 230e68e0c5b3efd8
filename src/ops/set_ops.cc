// Sets along the last dimension: their sizes, and operations between the sets of two tensors, dense or sparse.

#include <algorithm>
#include <map>
#include <set>

#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

// The sets of a tensor by the position of their group (all dimensions but the last), those that are not empty.
template <class T> struct Sets {
  std::vector<int64_t> group_dims;
  std::map<std::vector<int64_t>, std::set<T>> sets;
};

template <class T> absl::StatusOr<Sets<T>> dense_sets(const Tensor& tensor) {
  if (tensor.rank() < 2) return invalid_argument("Shape ", tensor.shape(), " has rank ", tensor.rank(), " < 2.");
  Sets<T> result;
  const int outer = tensor.rank() - 1;
  result.group_dims.assign(tensor.shape().dims().begin(), tensor.shape().dims().end() - 1);
  const auto values = tensor.unchecked<T>();
  const auto width = static_cast<size_t>(tensor.dim(outer));
  std::vector<int64_t> group(static_cast<size_t>(outer), 0);
  for (size_t begin = 0; begin < values.size(); begin += width) {
    result.sets[group].insert(values.begin() + static_cast<int64_t>(begin),
                              values.begin() + static_cast<int64_t>(begin + width));
    for (int d = outer - 1; d >= 0 && ++group[static_cast<size_t>(d)] == tensor.dim(d); --d)
      group[static_cast<size_t>(d)] = 0;
  }
  return result;
}

template <class T> absl::StatusOr<Sets<T>> sparse_sets(const SparseTensor& sparse, bool validate) {
  if (sparse.rank() < 2)
    return invalid_argument("Shape ", list_text(sparse.dims), " has rank ", sparse.rank(), " < 2.");
  if (validate) MR_RETURN_IF_ERROR(check_indices(sparse, true));
  Sets<T> result;
  result.group_dims.assign(sparse.dims.begin(), sparse.dims.end() - 1);
  const auto values = sparse.values.unchecked<T>();
  for (int64_t i = 0; i < sparse.size(); ++i) {
    const int64_t* index = sparse.index(i);
    result.sets[{index, index + sparse.rank() - 1}].insert(values[static_cast<size_t>(i)]);
  }
  return result;
}

template <class T> class SetSize final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(validate_, init.attr<bool>("validate_indices"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    if (sparse.rank() < 2) return invalid_argument("Invalid rank ", sparse.rank(), ".");
    MR_ASSIGN_OR_RETURN(const Sets<T> sets, sparse_sets<T>(sparse, validate_));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(sets.group_dims));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int32_t>(0, shape));
    std::ranges::fill(out, 0);
    for (const auto& [group, set] : sets.sets) {
      int64_t at = 0;
      for (size_t d = 0; d < group.size(); ++d) {
        if (group[d] < 0 || group[d] >= sets.group_dims[d])
          return invalid_argument("indices[0, ", d, "] expected < ", sets.group_dims[d], ", got ", group[d], ".");
        at = at * sets.group_dims[d] + group[d];
      }
      out[static_cast<size_t>(at)] = static_cast<int32_t>(set.size());
    }
    return absl::OkStatus();
  }

  bool validate_ = true;
};

enum class SetOperation { kMinus, kReverseMinus, kIntersection, kUnion };

absl::StatusOr<SetOperation> set_operation(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "a-b") return SetOperation::kMinus;
  if (lower == "b-a") return SetOperation::kReverseMinus;
  if (lower == "intersection") return SetOperation::kIntersection;
  if (lower == "union") return SetOperation::kUnion;
  return invalid_argument("Invalid set_operation ", lower, ".");
}

template <class T> std::vector<T> combine(SetOperation operation, const std::set<T>& a, const std::set<T>& b) {
  std::vector<T> out;
  const auto to = std::back_inserter(out);
  switch (operation) {
    case SetOperation::kMinus: std::ranges::set_difference(a, b, to); break;
    case SetOperation::kReverseMinus: std::ranges::set_difference(b, a, to); break;
    case SetOperation::kIntersection: std::ranges::set_intersection(a, b, to); break;
    case SetOperation::kUnion: std::ranges::set_union(a, b, to); break;
  }
  return out;
}

enum class Form { kDenseDense, kDenseSparse, kSparseSparse };

template <Form kForm, class T> class SetOperationKernel final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string name, init.attr<std::string>("set_operation"));
    MR_ASSIGN_OR_RETURN(operation_, set_operation(name));
    MR_ASSIGN_OR_RETURN(validate_, init.attr<bool>("validate_indices"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Sets<T> a, operand(ctx, 0, kForm != Form::kSparseSparse));
    MR_ASSIGN_OR_RETURN(const Sets<T> b,
                        operand(ctx, kForm == Form::kSparseSparse ? 3 : 1, kForm == Form::kDenseDense));
    if (a.group_dims != b.group_dims)
      return invalid_argument("Mismatched shapes ", list_text(a.group_dims), " vs ", list_text(b.group_dims));
    std::map<std::vector<int64_t>, std::vector<T>> results;
    size_t total = 0, widest = 0;
    const std::set<T> none;
    const auto add = [&](const std::vector<int64_t>& group, const std::set<T>& x, const std::set<T>& y) {
      std::vector<T> set = combine(operation_, x, y);
      total += set.size();
      widest = std::max(widest, set.size());
      if (!set.empty()) results.emplace(group, std::move(set));
    };
    for (const auto& [group, x] : a.sets) {
      const auto y = b.sets.find(group);
      add(group, x, y == b.sets.end() ? none : y->second);
    }
    for (const auto& [group, y] : b.sets) {
      if (!a.sets.contains(group)) add(group, none, y);
    }
    return output(ctx, results, total, widest, a.group_dims);
  }

  absl::StatusOr<Sets<T>> operand(const KernelContext& ctx, int i, bool dense) const {
    if (dense) return dense_sets<T>(ctx.input(i));
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, i, i + 1, i + 2));
    return sparse_sets<T>(sparse, validate_);
  }

  static absl::Status output(KernelContext& ctx, const std::map<std::vector<int64_t>, std::vector<T>>& results,
                             size_t total, size_t widest, const std::vector<int64_t>& group_dims) {
    std::vector<int64_t> dims = group_dims;
    dims.push_back(static_cast<int64_t>(widest));
    const auto n = static_cast<int64_t>(total);
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({n, static_cast<int64_t>(dims.size())}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({n}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, indices_shape));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.output<T>(1, values_shape));
    auto index = indices.begin();
    auto value = values.begin();
    for (const auto& [group, set] : results) {
      for (size_t k = 0; k < set.size(); ++k) {
        index = std::ranges::copy(group, index).out;
        *index++ = static_cast<int64_t>(k);
        *value++ = set[k];
      }
    }
    MR_ASSIGN_OR_RETURN(Tensor shape, make_vector<int64_t>(dims));
    return ctx.set_output(2, std::move(shape));
  }

  SetOperation operation_ = SetOperation::kUnion;
  bool validate_ = true;
};
template <class T> using DenseToDense = SetOperationKernel<Form::kDenseDense, T>;
template <class T> using DenseToSparse = SetOperationKernel<Form::kDenseSparse, T>;
template <class T> using SparseToSparse = SetOperationKernel<Form::kSparseSparse, T>;

// --- shapes

// The group dimensions of both operands must agree; the results are as long as the longest set.
absl::Status dense_to_dense_shape(ShapeContext& c) {
  const PartialTensorShape &a = c.input(0), &b = c.input(1);
  MR_RETURN_IF_ERROR(c.with_rank_at_least(0, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank_at_least(1, 2).status());
  const int rank = a.has_rank() ? a.rank() : b.rank();
  return set_sparse_outputs(c, 0, rank);
}

absl::Status dense_to_sparse_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_least(0, 2).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rank, check_sparse_shapes(c, 1, 2, 3));
  return set_sparse_outputs(c, 0, c.input(0).has_rank() ? c.input(0).rank() : rank.has_rank() ? rank.dim(0) : -1);
}

absl::Status sparse_to_sparse_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape a, check_sparse_shapes(c, 0, 1, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape b, check_sparse_shapes(c, 3, 4, 5));
  const int64_t a_rank = a.has_rank() ? a.dim(0) : -1, b_rank = b.has_rank() ? b.dim(0) : -1;
  for (const auto& [input, rank] : {std::pair(0, a_rank), std::pair(3, b_rank)}) {
    if (rank >= 0 && rank < 2) return invalid_argument("Input ", input, ", expected rank >= 2, got ", rank, ".");
  }
  return set_sparse_outputs(c, 0, a_rank >= 0 ? a_rank : b_rank);
}

constexpr const char* kTypes = "T: {int8, int16, int32, int64, uint8, uint16, string}";
using SetTypes = Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, std::string>;

OpBuilder set_outputs(OpBuilder op) {
  return op.output("result_indices: int64")
      .output("result_values: T")
      .output("result_shape: int64")
      .attr("set_operation: string")
      .attr("validate_indices: bool = true")
      .attr(kTypes)
      .not_differentiable();
}

}  // namespace

void register_set_ops(Registry& registry) {
  registry.op("SetSize")
      .input("set_indices: int64")
      .input("set_values: T")
      .input("set_shape: int64")
      .output("size: int32")
      .attr("validate_indices: bool = true")
      .attr(kTypes)
      .shape(unknown_shapes)
      .cpu_for<SetSize>(SetTypes())
      .not_differentiable()
      .doc("How many different values each row of a sparse tensor has.");
  set_outputs(registry.op("DenseToDenseSetOperation").input("set1: T").input("set2: T"))
      .shape(dense_to_dense_shape)
      .cpu_for<DenseToDense>(SetTypes())
      .doc("A set operation between the rows of two dense tensors: a-b, b-a, intersection, union.");
  set_outputs(registry.op("DenseToSparseSetOperation")
                  .input("set1: T")
                  .input("set2_indices: int64")
                  .input("set2_values: T")
                  .input("set2_shape: int64"))
      .shape(dense_to_sparse_shape)
      .cpu_for<DenseToSparse>(SetTypes())
      .doc("A set operation between the rows of a dense and of a sparse tensor.");
  set_outputs(registry.op("SparseToSparseSetOperation")
                  .input("set1_indices: int64")
                  .input("set1_values: T")
                  .input("set1_shape: int64")
                  .input("set2_indices: int64")
                  .input("set2_values: T")
                  .input("set2_shape: int64"))
      .shape(sparse_to_sparse_shape)
      .cpu_for<SparseToSparse>(SetTypes())
      .doc("A set operation between the rows of two sparse tensors.");
}

}  // namespace millrace
