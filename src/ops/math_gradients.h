#pragma once
// Arithmetic as gradient rules write it: Python's operators and tf.math functions, with the nodes and names that they
// give there. Literals become Const nodes inside a scope of the operator's name.

#include <utility>
#include <vector>

#include "ops/gradient_ops.h"

namespace millrace::gradients {

// A Const of one element of any number type, converted as numpy does.
Output scalar(GradientContext& g, DataType dtype, double value, std::string_view name = "Const");
Output int32_vector(GradientContext& g, const std::vector<int32_t>& values, std::string_view name = "Const");

// Python's operators and tf.math functions. A double is a literal of the other operand's type.
Output binary(GradientContext& g, std::string_view op, std::string_view name, const Output& x, const Output& y);
Output binary(GradientContext& g, std::string_view op, std::string_view name, const Output& x, double y);
Output binary(GradientContext& g, std::string_view op, std::string_view name, double x, const Output& y);
template <class X, class Y> Output mul(GradientContext& g, X x, Y y) { return binary(g, "Mul", "mul", x, y); }
template <class X, class Y> Output add(GradientContext& g, X x, Y y) { return binary(g, "AddV2", "add", x, y); }
template <class X, class Y> Output sub(GradientContext& g, X x, Y y) { return binary(g, "Sub", "sub", x, y); }
template <class X, class Y> Output truediv(GradientContext& g, X x, Y y) {
  return binary(g, "RealDiv", "truediv", x, y);
}
template <class X, class Y> Output mod(GradientContext& g, X x, Y y) { return binary(g, "FloorMod", "mod", x, y); }
inline Output neg(GradientContext& g, const Output& x) { return g.op("Neg", {x}); }
Output div_no_nan(GradientContext& g, const Output& x, const Output& y);
Output equal(GradientContext& g, const Output& x, double y);
Output conj(GradientContext& g, const Output& x);                  // x itself unless complex
Output cast(GradientContext& g, const Output& x, DataType dtype);  // x itself if it has the type

inline Output shape(GradientContext& g, const Output& x) { return shape_of(g, x); }
Output ones_like(GradientContext& g, const Output& x);
Output fill(GradientContext& g, std::string_view name, const Output& dims, DataType dtype,
            double value);                                             // tf.zeros, tf.ones
Output range(GradientContext& g, int32_t start, const Output& limit);  // int32

Output reshape(GradientContext& g, const Output& x, const Output& dims);
Output reshape(GradientContext& g, const Output& x, const std::vector<int32_t>& dims);
Output gather(GradientContext& g, const Output& params, const Output& indices);
Output reduce(GradientContext& g, std::string_view op, const Output& x, const Output& axes, bool keep_dims = false);
Output reduce(GradientContext& g, std::string_view op, const Output& x, const std::vector<int32_t>& axes,
              bool keep_dims);
Output reduce_all(GradientContext& g, std::string_view op, const Output& x);  // over all dimensions of x
// The shape of a reduction's result had it kept its dimensions.
Output reduced_shape(GradientContext& g, const Output& input_shape, const Output& axes);
// The same where shape and axes are constants: empty otherwise.
std::vector<int32_t> static_reduced_shape(GradientContext& g, const Output& x, const Output& axes, bool* known);

// Sums the gradients of a broadcasting operation's two arguments back to their shapes; absent gradients stay absent.
std::pair<Output, Output> reduce_gradient_args(GradientContext& g, const Output& x, const Output& y, Output gx,
                                               Output gy);
// The older form: reshape(reduce_sum(gradient, axes), shape) whatever is known. Axes come from broadcast_gradient_args.
std::pair<Output, Output> broadcast_gradient_args(GradientContext& g, const Output& x_shape, const Output& y_shape);

// True if all three have one and the same fully known shape.
bool equal_static_shapes(GradientContext& g, const Output& x, const Output& y, const Output& dy);

}  // namespace millrace::gradients
