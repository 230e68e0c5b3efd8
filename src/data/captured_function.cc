#include "data/captured_function.h"

namespace millrace {

absl::StatusOr<std::shared_ptr<const CapturedFunction>> CapturedFunction::make(FunctionRunner* functions,
                                                                               const FunctionRef& function,
                                                                               std::vector<Tensor> captured) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<CallableFunction> callable, functions->instantiate(function));
  return std::shared_ptr<const CapturedFunction>(new CapturedFunction(std::move(callable), std::move(captured)));
}

absl::StatusOr<Element> CapturedFunction::run(Element element, CancellationScope* cancellation) const {
  const std::vector<DataType>& types = callable_->input_types();
  if (element.size() + captured_.size() != types.size())
    return invalid_argument("The function takes ", types.size(), " arguments but got ", element.size(),
                            " components and ", captured_.size(), " captured values.");
  element.insert(element.end(), captured_.begin(), captured_.end());
  for (size_t i = 0; i < types.size(); ++i) {
    if (element[i].dtype() != types[i])
      return invalid_argument("Argument ", i, " of the function is ", dtype_name(types[i]), " but got ",
                              dtype_name(element[i].dtype()), ".");
  }
  return callable_->run_sync(std::move(element), cancellation);
}

absl::StatusOr<bool> CapturedFunction::run_predicate(Element element, CancellationScope* cancellation) const {
  MR_ASSIGN_OR_RETURN(const Element result, run(std::move(element), cancellation));
  if (result.size() != 1 || result[0].dtype() != DataType::kBool || result[0].num_elements() != 1)
    return invalid_argument("Filter predicate `f` must return a scalar bool.");
  return result[0].unchecked<bool>()[0];
}

absl::StatusOr<int64_t> CapturedFunction::run_integer(Element element, CancellationScope* cancellation) const {
  MR_ASSIGN_OR_RETURN(const Element result, run(std::move(element), cancellation));
  if (result.size() != 1 || result[0].dtype() != DataType::kInt64 || result[0].num_elements() != 1)
    return invalid_argument("The function must return a scalar int64.");
  return result[0].unchecked<int64_t>()[0];
}

absl::StatusOr<DatasetPtr> CapturedFunction::run_dataset(Element element, CancellationScope* cancellation) const {
  MR_ASSIGN_OR_RETURN(const Element result, run(std::move(element), cancellation));
  if (result.size() != 1 || result[0].dtype() != DataType::kVariant || result[0].rank() != 0)
    return invalid_argument("Function must return a single scalar of dtype DT_VARIANT.");
  return dataset_from_tensor(result[0]);
}

}  // namespace millrace
