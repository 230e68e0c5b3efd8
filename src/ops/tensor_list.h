#pragma once
// Lists of tensors as values (TensorListStack and its kin): what a variant of such an op holds.

#include <map>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

// Immutable once it is shared: ops that change a list change it in place only where nobody else holds it. Memory is
// spent on elements that were set, not on the size that the list claims to have.
struct TensorList {
  DataType dtype = DataType::kInvalid;
  PartialTensorShape element_shape;
  int64_t size = 0;
  int64_t max_size = -1;               // -1: no limit
  std::map<int64_t, Tensor> elements;  // those that are set, all in [0, size)
};

// More elements than this are not taken from one tensor.
inline constexpr int64_t kMaxNewElements = int64_t{1} << 22;

// The list of scalar input `i`, whose elements must have the dtype.
absl::StatusOr<std::shared_ptr<const TensorList>> input_list(const KernelContext& ctx, int i);
absl::StatusOr<std::shared_ptr<const TensorList>> input_list(const KernelContext& ctx, int i, DataType dtype);
// Input 0 handed on as output 0, to be changed: the list itself where nobody else holds it, else a copy.
absl::StatusOr<std::shared_ptr<TensorList>> forward_list(KernelContext& ctx);
absl::Status output_list(KernelContext& ctx, int i, TensorList list);

// An element shape as tensors give it: a vector, or -1 for one that is not known at all.
absl::StatusOr<PartialTensorShape> element_shape_input(const KernelContext& ctx, int i);
// What both say, with TensorFlow's words where they contradict each other.
absl::StatusOr<PartialTensorShape> merge_elements(const PartialTensorShape& a, const PartialTensorShape& b);
// An element shape as a tensor gives it, merged with that of the list.
absl::StatusOr<PartialTensorShape> merged_element_shape(const KernelContext& ctx, int i, const TensorList& list);
// What a shape function knows of such an input.
absl::StatusOr<PartialTensorShape> known_element_shape(ShapeContext& c, int i);
// What a shape function knows of the list of input i; an error where its dtype is another.
absl::StatusOr<PartialTensorShape> handle_element_shape(ShapeContext& c, int i);
absl::Status set_list_handle(ShapeContext& c, int i, PartialTensorShape element_shape);

}  // namespace millrace
