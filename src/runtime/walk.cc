// Running a program by walking its array: the path of steps without asynchronous kernels and dynamic control flow. A
// step takes no lock here, allocates nothing and looks nothing up; what it costs is what its kernels cost.

#include "runtime/program.h"
#include "runtime/step.h"

namespace millrace {
namespace {

void clear(InputValue& value) {
  value.tensor.reset();
  value.variable.reset();
}

bool has_value(const InputValue& value) { return value.tensor.has_value() || value.variable != nullptr; }

}  // namespace

template <bool kTraced> absl::Status Program::walk_ops(Step& step, const RunContext& context, const Op** current) {
  InputValue* const slots = step.slots.data();
  InputValue* const scratch = step.scratch.data();
  for (size_t i = 0; i < ops_.size(); ++i) {
    const Op& op = ops_[i];
    *current = &op;
    // Many small ops: the next kernels lie all over the heap, and waiting for them would cost more than their work.
    if (i + 3 < ops_.size()) __builtin_prefetch(ops_[i + 3].kernel);
    if (context.cancellation->is_cancelled()) [[unlikely]]
      return context.cancellation->status();
    if (op.deref_begin != op.deref_end) {
      MR_RETURN_IF_ERROR(dereference({derefs_.data() + op.deref_begin, op.deref_end - op.deref_begin}, slots));
    }
    const std::span<InputValue> inputs(slots + op.input_begin, op.num_inputs);
    if (op.check_contract && !step.shapes_as_seen(op, i, inputs)) [[unlikely]] {
      MR_RETURN_IF_ERROR(check_contract(op, inputs));
      step.remember_shapes(op, i, inputs);
    }
    const std::span<InputValue> outputs(op.direct_slot >= 0 ? slots + op.direct_slot : scratch, op.num_outputs);
    KernelContext kernel_context(op.state->info, output_types(op), inputs, outputs, &step);
    int64_t start = 0;
    if constexpr (kTraced) start = wall_nanos();
    MR_RETURN_IF_ERROR(op.kernel->compute(kernel_context));
    if constexpr (kTraced) record_node(*op.state, start, outputs, context.stats);
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (!has_value(outputs[o])) [[unlikely]]
        return missing_output(*op.state, o);
    }
    if (op.direct_slot >= 0) {
      for (uint32_t e = op.edge_begin; e + 1 < op.edge_end; ++e) slots[edges_[e].slot] = outputs[0];
    } else {
      for (uint32_t e = op.edge_begin; e < op.edge_end; ++e) {
        const Edge& edge = edges_[e];
        const bool last = e + 1 == op.edge_end || edges_[e + 1].output != edge.output;
        if (last) slots[edge.slot] = std::move(scratch[edge.output]);
        else slots[edge.slot] = scratch[edge.output];
      }
      for (InputValue& value : outputs) clear(value);
    }
    for (uint32_t c = op.clear_begin; c < op.clear_end; ++c) clear(slots[clears_[c]]);
  }
  return absl::OkStatus();
}

absl::Status Program::walk(Step& step, const RunContext& context) {
  const ComputeGuard guard(runtime_.options());
  const Op* current = nullptr;
  absl::Status status;
  try {
    status = context.stats ? walk_ops<true>(step, context, &current) : walk_ops<false>(step, context, &current);
  } catch (...) {
    status = exception_status();
  }
  if (status.ok() || current == nullptr) return status;
  if (context.cancellation->is_cancelled() && absl::IsCancelled(status)) return context.cancellation->status();
  return node_error(*current->state, {step.slots.data() + current->input_begin, current->num_inputs}, status);
}

}  // namespace millrace
