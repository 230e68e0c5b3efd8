#pragma once
// Builds the functions of datasets: the user's callable is called once, on the arguments of a new graph.

#include <functional>
#include <vector>

#include "millrace/attr.h"
#include "millrace/data.h"

namespace millrace::data {

struct DatasetFunction {
  FunctionRef ref;
  std::vector<Output> captured;  // tensors of the graph around it
  std::vector<DataType> captured_types;
  ElementSpec results;
};
// `kind` is part of its name: "map", "filter".
DatasetFunction make_dataset_function(std::string_view kind, const ElementSpec& arguments,
                                      const ElementFunction& function);

// A function without arguments that makes the dataset again: its nodes, and those they depend on, are copied.
// InvalidArgumentError where that is impossible: variables, placeholders, other state.
FunctionRef make_dataset_factory(const Dataset& dataset);

}  // namespace millrace::data
