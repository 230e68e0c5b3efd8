#include "millrace/layers.h"

#include "api/op_builder.h"
#include "api/training.h"
#include "api/variable_impl.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
#include "millrace/nn.h"

namespace millrace::layers {
namespace {

// [..., n] x [n, units] for more than two dimensions: as one product of rows.
Output rows_times_kernel(const Output& x, const Output& kernel, int64_t units) {
  const name_scope scope("Tensordot");
  const PartialTensorShape shape = x.shape();
  const Output flat = reshape(x, std::vector<int32_t>{-1, static_cast<int32_t>(shape.dim(shape.rank() - 1))});
  const Output product = matmul(flat, kernel);
  const Output outer = index(millrace::shape(x), {Slice{.end = -1}});
  const Output out_shape = concat({outer, constant(std::vector<int32_t>{static_cast<int32_t>(units)})}, 0);
  const Output result = reshape(product, out_shape, {.name = scope.name()});
  std::vector<int64_t> known(shape.dims().begin(), shape.dims().end());
  known.back() = units;
  result.set_shape(PartialTensorShape(std::span<const int64_t>(known)));
  return result;
}

VariableScopeOptions scope_options(const std::string& name, const char* default_name, Reuse reuse) {
  VariableScopeOptions options;
  if (name.empty()) options.default_name = default_name;
  options.reuse = reuse;
  return options;
}

}  // namespace

Output dense(const Input& inputs, int64_t units, const DenseOptions& o) {
  const SourceScope source(inputs);
  const Output x = convert_to_tensor(inputs);
  const PartialTensorShape shape = x.shape();
  if (units < 1) raise(invalid_argument("dense: units must be positive, got ", units));
  if (!is_floating(base_dtype(x.dtype())) && !is_complex(base_dtype(x.dtype()))) {
    raise(invalid_argument("dense: inputs must be of a floating type, got ", dtype_name(x.dtype())));
  }
  if (shape.rank() < 2) raise(invalid_argument("dense: inputs must have at least two dimensions, got shape ", shape));
  const int64_t last = shape.dim(shape.rank() - 1);
  if (last < 0) raise(invalid_argument("dense: the last dimension of the inputs must be known, got shape ", shape));

  const variable_scope scope(o.name, scope_options(o.name, "dense", o.reuse));
  const DataType dtype = base_dtype(x.dtype());
  const Variable kernel = layer_variable("kernel", {last, units},
                                         {.dtype = dtype,
                                          .initializer = o.kernel_initializer,
                                          .regularizer = o.kernel_regularizer,
                                          .trainable = o.trainable,
                                          .constraint = o.kernel_constraint});
  Variable bias;
  if (o.use_bias) {
    bias = layer_variable("bias", {units},
                          {.dtype = dtype,
                           .initializer = o.bias_initializer,
                           .regularizer = o.bias_regularizer,
                           .trainable = o.trainable,
                           .constraint = o.bias_constraint});
  }

  Output y = shape.rank() > 2 ? rows_times_kernel(x, kernel, units) : matmul(x, kernel);
  if (o.use_bias) y = nn::bias_add(y, bias);
  if (o.activation) y = o.activation(y);
  if (o.activity_regularizer) {
    if (const Output loss = o.activity_regularizer(y)) add_to_collection(GraphKeys::REGULARIZATION_LOSSES, loss);
  }
  return y;
}

Output flatten(const Input& inputs, const FlattenOptions& o) {
  const SourceScope source(inputs);
  const Output x = convert_to_tensor(inputs);
  const variable_scope scope(o.name, scope_options(o.name, "flatten", Reuse::kInherit));
  const PartialTensorShape shape = x.shape();
  if (shape.has_rank() && shape.rank() == 1) return expand_dims(x, 1);
  int64_t rest = 1;
  if (!shape.has_rank()) rest = -1;
  for (int i = 1; i < shape.rank() && rest >= 0; ++i) rest = shape.dim(i) < 0 ? -1 : rest * shape.dim(i);
  if (rest >= 0) {
    return reshape(x, std::vector<int32_t>{-1, static_cast<int32_t>(rest)});
  }
  const Output batch = index(millrace::shape(x), {IndexItem(0)});
  return reshape(x, stack({batch, constant(-1)}, {.name = "Reshape/shape"}));
}

Output dropout(const Input& inputs, const DropoutOptions& o) {
  const SourceScope source(inputs);
  const Output x = convert_to_tensor(inputs);
  const Training training("dropout", o.training);
  const variable_scope scope(o.name, scope_options(o.name, "dropout", Reuse::kInherit));
  return training.choose([&] { return nn::dropout(x, {.rate = o.rate, .noise_shape = o.noise_shape, .seed = o.seed}); },
                         [&] { return identity(x); });
}

}  // namespace millrace::layers
