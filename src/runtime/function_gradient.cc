#include "runtime/function_gradient.h"

#include "autodiff/gradients.h"
#include "graph/graph.h"
#include "graph/op_maker.h"

namespace millrace {
namespace {

bool has_gradient(DataType dtype) { return is_floating(dtype) || is_complex(dtype); }

absl::StatusOr<Node*> add_argument(FunctionBody& body, DataType type) {
  const auto index = static_cast<int64_t>(body.args.size());
  MR_ASSIGN_OR_RETURN(Node * arg, make_op(*body.graph, {.type = "_Arg",
                                                        .attrs = {{"T", type}, {"index", index}},
                                                        .name = str_cat("gradient_arg_", index)}));
  body.args.push_back(arg);
  body.arg_types.push_back(type);
  return arg;
}

absl::StatusOr<Node*> make_result(FunctionBody& body, const Gradient& dx, const Output& x, int64_t index) {
  Output value;
  if (dx.is_slices()) {
    MR_ASSIGN_OR_RETURN(value, densify(*body.graph, dx.slices()));
  } else if (dx) {
    value = dx.dense();
  } else {
    MR_ASSIGN_OR_RETURN(Node * zeros, make_op(*body.graph, {.type = "ZerosLike", .args = {x}}));
    value = zeros->output(0);
  }
  return make_op(
      *body.graph,
      {.type = "_Retval", .args = {value}, .attrs = {{"index", index}}, .name = str_cat("gradient_retval_", index)});
}

}  // namespace

absl::StatusOr<FunctionBody> gradient_of_function(const FunctionLibrary& library, const FunctionRef& function) {
  if (const std::string own = library.find_gradient(function.name); !own.empty()) {
    return library.instantiate(function.attrs ? FunctionRef(own, *function.attrs) : FunctionRef(own));
  }
  MR_ASSIGN_OR_RETURN(FunctionBody body, library.instantiate(function));
  GradientSpec spec;
  std::vector<Output> xs;
  for (Node* arg : body.args) xs.push_back(arg->output(0));
  for (size_t i = 0; i < body.rets.size(); ++i) {
    MR_ASSIGN_OR_RETURN(Node * dy, add_argument(body, body.ret_types[i]));
    if (!has_gradient(body.ret_types[i])) continue;
    spec.ys.push_back(body.rets[i]->input(0));
    spec.grad_ys.push_back(Gradient(dy->output(0)));
  }
  spec.xs = xs;
  std::vector<Gradient> dxs(xs.size());
  if (!spec.ys.empty()) {
    MR_ASSIGN_OR_RETURN(dxs, add_gradients(*body.graph, spec));
  }
  body.rets.clear();
  body.ret_types.clear();
  for (size_t i = 0; i < xs.size(); ++i) {
    MR_ASSIGN_OR_RETURN(Node * ret, make_result(body, dxs[i], xs[i], static_cast<int64_t>(i)));
    body.rets.push_back(ret);
    body.ret_types.push_back(body.arg_types[i]);
  }
  return body;
}

}  // namespace millrace
