#pragma once
// A few ops for tests of this layer, which the real ones stand below.

#include "op/registry.h"
#include "op/shape_context.h"

namespace millrace {

inline absl::Status test_matmul_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape a, c.with_rank(0, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape b, c.with_rank(1, 2));
  if (a.dim(1) >= 0 && b.dim(0) >= 0 && a.dim(1) != b.dim(0))
    return invalid_argument("Dimensions must be equal, but are ", a.dim(1), " and ", b.dim(0));
  return c.set_output(0, make_partial_shape({a.dim(0), b.dim(1)}));
}

inline absl::Status test_const_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const Tensor value, c.attr<Tensor>("value"));
  return c.set_output(0, PartialTensorShape(value.shape()));
}

inline absl::Status test_shape_attr(ShapeContext& c) { return c.set_output(0, c.attr<PartialTensorShape>("shape")); }

inline absl::Status test_reshape_shape(ShapeContext& c) { return c.set_output(0, c.as_shape(1)); }

inline absl::Status test_shape_shape(ShapeContext& c) {
  return c.set_output(0, make_partial_shape({c.input(0).has_rank() ? int64_t{c.input(0).rank()} : int64_t{-1}}));
}
inline absl::Status test_pack_shape(ShapeContext& c) {
  return c.set_output(0, c.input(0).rank() == 0 ? make_partial_shape({c.num_inputs()}) : PartialTensorShape());
}

inline const Registry& test_ops() {
  static const Registry* registry = [] {
    auto* r = new Registry;
    r->op("Const").output("output: dtype").attr("value: tensor").attr("dtype: type").shape(test_const_shape);
    r->op("Placeholder")
        .output("output: dtype")
        .attr("dtype: type")
        .attr("shape: shape = { unknown_rank: true }")
        .shape(test_shape_attr);
    r->op("Identity").input("input: T").output("output: T").attr("T: type").shape(unchanged_shape);
    r->op("NoOp").shape(no_outputs);
    r->op("Add")
        .input("x: T")
        .input("y: T")
        .output("z: T")
        .attr("T: {float, double, int32, int64, string}")
        .shape(broadcast_shape);
    r->op("MatMul")
        .input("a: T")
        .input("b: T")
        .output("product: T")
        .attr("transpose_a: bool = false")
        .attr("T: {float, double}")
        .shape(test_matmul_shape);
    r->op("Shape")
        .input("input: T")
        .output("output: out_type")
        .attr("T: type")
        .attr("out_type: {int32, int64} = DT_INT32")
        .shape(test_shape_shape);
    r->op("Reshape")
        .input("tensor: T")
        .input("shape: Tshape")
        .output("output: T")
        .attr("T: type")
        .attr("Tshape: {int32, int64} = DT_INT32")
        .shape(test_reshape_shape);
    r->op("Pack")
        .input("values: N * T")
        .output("output: T")
        .attr("N: int >= 1")
        .attr("T: type")
        .attr("axis: int = 0")
        .shape(test_pack_shape);
    r->op("TwoOut")
        .input("x: T")
        .output("a: T")
        .output("b: N * T")
        .attr("T: type")
        .attr("N: int >= 0 = 2")
        .shape(unknown_shapes);
    r->op("Listed").input("xs: Ts").output("ys: Ts").attr("Ts: list(type)").shape(unknown_shapes);
    r->op("VariableV2")
        .output("ref: Ref(dtype)")
        .attr("shape: shape")
        .attr("dtype: type")
        .attr("container: string = ''")
        .attr("shared_name: string = ''")
        .stateful()
        .shape(test_shape_attr);
    r->op("Assign")
        .input("ref: Ref(T)")
        .input("value: T")
        .output("output_ref: Ref(T)")
        .attr("T: type")
        .attr("use_locking: bool = true")
        .shape(unchanged_shape);
    r->op("Switch")
        .input("data: T")
        .input("pred: bool")
        .output("f: T")
        .output("t: T")
        .attr("T: type")
        .shape(unknown_shapes);
    r->op("Merge")
        .input("inputs: N * T")
        .output("output: T")
        .output("value_index: int32")
        .attr("T: type")
        .attr("N: int >= 1")
        .shape(unknown_shapes);
    r->op("Enter")
        .input("data: T")
        .output("output: T")
        .attr("T: type")
        .attr("frame_name: string")
        .shape(unknown_shapes);
    r->op("NextIteration").input("data: T").output("output: T").attr("T: type").shape(unknown_shapes);
    r->op("_Arg").output("output: T").attr("T: type").attr("index: int >= 0").stateful().shape(unknown_shapes);
    r->op("_Retval").input("input: T").attr("T: type").attr("index: int >= 0").stateful().shape(no_outputs);
    return r;
  }();
  return *registry;
}

}  // namespace millrace
