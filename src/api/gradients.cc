#include "millrace/gradients.h"

#include "api/op_builder.h"
#include "autodiff/gradients.h"

namespace millrace {

std::vector<Gradient> gradients(const std::vector<Input>& ys, const std::vector<Input>& xs,
                                const GradientsOptions& options) {
  const SourceScope source(ys.empty() ? Input() : ys[0]);
  GraphImpl& graph = default_graph();
  GradientSpec spec;
  {
    // Literals among the ys become constants below the scope, as in TF1.
    for (const Input& y : ys)
      spec.ys.push_back(value_or_raise(to_output(graph, y, DataType::kInvalid, "y", false, current_source())));
    for (const Input& x : xs)
      spec.xs.push_back(value_or_raise(to_output(graph, x, DataType::kInvalid, "x", true, current_source())));
  }
  for (const Output& g : options.grad_ys) spec.grad_ys.emplace_back(g);
  spec.name = options.name;
  spec.colocate_with_ops = options.colocate_gradients_with_ops;
  spec.gate = options.gate_gradients;
  spec.aggregation = options.aggregation_method;
  spec.stop_gradients = options.stop_gradients;
  spec.zeros_for_unconnected = options.unconnected_gradients == UnconnectedGradients::ZERO;
  spec.source = current_source();
  return value_or_raise(add_gradients(graph, spec));
}

Output dense_gradient(const Gradient& gradient) {
  return gradient.is_slices() ? value_or_raise(densify(default_graph(), gradient.slices())) : gradient.dense();
}

}  // namespace millrace
