#pragma once
// Random values of everything a node holds: dtypes, shapes, tensors, attributes. Most are ordinary, some stand at the
// edge of what is allowed, some beyond it.

#include <string>
#include <vector>

#include "millrace/attr.h"
#include "op/op_def.h"
#include "tensor/tensor.h"
#include "tests/safety/chance.h"

namespace millrace {

// Sizes that the tensors of one case have in common, so that many of them fit together.
struct Sizes {
  explicit Sizes(Chance& chance);
  std::vector<int64_t> base;  // a shape
  int64_t common;             // a size that index vectors and the like share
};

DataType random_dtype(Chance& chance);
int64_t random_dimension(Chance& chance);
std::vector<int64_t> random_dims(Chance& chance);  // of at most a few thousand elements
int64_t special_integer(Chance& chance);           // what breaks loops, products and casts
std::string random_string(Chance& chance);
PartialTensorShape random_partial_shape(Chance& chance, const Sizes& sizes);

// `plain`: small ordinary numbers only, as sizes, axes and indices mostly are.
Tensor random_tensor(Chance& chance, DataType dtype, const std::vector<int64_t>& dims, bool plain);
// Changes a few of the tensor's elements, its shape, or both.
Tensor mutated_tensor(Chance& chance, const Tensor& tensor);

// A value of the attribute's declared kind. Types come from the caller, who knows the kernels.
AttrValue random_attr(Chance& chance, const AttrDef& def, const Sizes& sizes);

}  // namespace millrace
