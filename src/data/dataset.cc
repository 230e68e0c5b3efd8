#include "data/dataset.h"

#include <algorithm>

namespace millrace {

absl::Status check_compatible(const ElementSpec& expected, const ElementSpec& found) {
  if (expected.types.size() != found.types.size())
    return invalid_argument("Number of components does not match: expected ", expected.types.size(), " types but got ",
                            found.types.size(), ".");
  for (size_t i = 0; i < expected.types.size(); ++i) {
    if (expected.types[i] != found.types[i])
      return invalid_argument("Data type mismatch at component ", i, ": expected ", dtype_name(expected.types[i]),
                              " but got ", dtype_name(found.types[i]), ".");
  }
  if (expected.shapes.size() != found.shapes.size())
    return invalid_argument("Number of components does not match: expected ", expected.shapes.size(),
                            " shapes but got ", found.shapes.size(), ".");
  for (size_t i = 0; i < expected.shapes.size(); ++i) {
    if (!expected.shapes[i].is_compatible_with(found.shapes[i]))
      return invalid_argument("Incompatible shapes at component ", i, ": expected ", expected.shapes[i], " but got ",
                              found.shapes[i], ".");
  }
  return absl::OkStatus();
}

Dataset::Dataset(ElementSpec spec, std::initializer_list<const Dataset*> inputs) : spec_(std::move(spec)), depth_(1) {
  for (const Dataset* input : inputs) depth_ = std::max(depth_, input->depth() + 1);
}

Dataset::Dataset(ElementSpec spec, const std::vector<std::shared_ptr<const Dataset>>& inputs)
    : spec_(std::move(spec)), depth_(1) {
  for (const DatasetPtr& input : inputs) depth_ = std::max(depth_, input->depth() + 1);
}

absl::StatusOr<Tensor> dataset_to_tensor(DatasetPtr dataset) {
  if (dataset->depth() > Dataset::kMaxDepth)
    return invalid_argument("The input pipeline has more than ", Dataset::kMaxDepth, " nested stages.");
  return make_scalar(Variant::share(std::const_pointer_cast<Dataset>(std::move(dataset))));
}

absl::StatusOr<DatasetPtr> dataset_from_tensor(const Tensor& tensor) {
  if (tensor.dtype() != DataType::kVariant || tensor.rank() != 0)
    return invalid_argument("Dataset tensor must be a scalar of dtype DT_VARIANT.");
  DatasetPtr dataset = tensor.unchecked<Variant>()[0].shared<Dataset>();
  if (dataset == nullptr) return invalid_argument("Tensor must be a Dataset object.");
  return dataset;
}

absl::Status UnaryIterator::save_input(StateWriter& writer) const {
  writer.put("has_input", input_ != nullptr);
  return input_ ? input_->save(writer.nested("input")) : absl::OkStatus();
}

absl::Status UnaryIterator::restore_input(IterationContext& ctx, StateReader& reader) {
  MR_ASSIGN_OR_RETURN(const int64_t has_input, reader.get("has_input"));
  if (!has_input) {
    input_.reset();
    return absl::OkStatus();
  }
  if (!input_) return internal_error("Iterators are restored into fresh iterators only.");
  return input_->restore(ctx, reader.nested("input"));
}

}  // namespace millrace
