#pragma once
// Sparse tensors as ops take them: indices [n,r], values [n], dense shape [r].

#include <span>
#include <vector>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

struct SparseTensor {
  Tensor indices;             // int64 [size, rank]
  Tensor values;              // [size]
  std::vector<int64_t> dims;  // not negative, and their product is an int64

  int64_t size() const { return indices.dim(0); }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  const int64_t* index(int64_t i) const { return indices.unchecked<int64_t>().data() + i * rank(); }
};

// The tensors of three inputs, whose shapes fit together. Indices are not looked at.
absl::StatusOr<SparseTensor> sparse_input(const KernelContext& ctx, int indices, int values, int shape);
absl::StatusOr<SparseTensor> make_sparse(Tensor indices, Tensor values, const Tensor& shape);
// The same without values: those of the result are not set.
absl::StatusOr<SparseTensor> sparse_indices(const Tensor& indices, const Tensor& shape);

// Every index inside the dense shape; with `ordered`, each after the one before.
absl::Status check_indices(const SparseTensor& sparse, bool ordered);

// -1, 0 or 1 as index a is before, at or after index b, row-major.
int compare_indices(const int64_t* a, const int64_t* b, int64_t rank);
// The entries in the order of their indices; equal ones stay as they are.
std::vector<int64_t> sorted_order(const SparseTensor& sparse);

std::string list_text(std::span<const int64_t> values);  // "[1,2]"

// Rows `order` of indices and values as outputs.
absl::Status output_entries(KernelContext& ctx, int indices, int values, const SparseTensor& sparse,
                            std::span<const int64_t> order);

// --- shape functions

// Inputs i.. are indices, values and shape: what is known of the rank, or an error.
absl::StatusOr<PartialTensorShape> check_sparse_shapes(ShapeContext& c, int indices, int values, int shape);
// Outputs i.. are indices [?,r], values [?] and shape [r].
absl::Status set_sparse_outputs(ShapeContext& c, int i, int64_t rank);

}  // namespace millrace
