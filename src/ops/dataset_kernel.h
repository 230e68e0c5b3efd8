#pragma once
// What the dataset ops share: a kernel that makes a dataset of its inputs, and the accessors for such inputs.

#include <vector>

#include "data/captured_function.h"
#include "op/kernel.h"

namespace millrace {

// output_types (or Toutput_types) and output_shapes.
absl::StatusOr<ElementSpec> element_spec(const NodeInfo& node);

absl::StatusOr<DatasetPtr> dataset_input(const KernelContext& ctx, int i);
// The function attribute, with the values of inputs [begin, end) captured.
absl::StatusOr<FunctionPtr> function_input(const KernelContext& ctx, std::string_view attr, int begin, int end);
// All tensors of inputs [begin, end).
Element tensor_inputs(const KernelContext& ctx, int begin, int end);
// Length of a type list attribute, such as Targuments.
absl::StatusOr<int> list_length(const NodeInfo& node, std::string_view attr);
// The "deterministic" attribute: "true", "false" or "default" (which is true); InvalidArgument otherwise.
absl::StatusOr<bool> deterministic_attr(const NodeInfo& node);

using MakeDataset = absl::StatusOr<DatasetPtr> (*)(KernelContext&);

// The kernel of a dataset op: `make` sees the inputs, the one output is the dataset.
template <MakeDataset make> class DatasetKernel final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(DatasetPtr dataset, make(ctx));
    MR_ASSIGN_OR_RETURN(Tensor handle, dataset_to_tensor(std::move(dataset)));
    return ctx.set_output(0, std::move(handle));
  }
};

}  // namespace millrace
