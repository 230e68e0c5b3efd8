#include "runtime/step.h"

#include <algorithm>
#include <new>
#include <thread>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/errors.h"
#include "kernels/parallel.h"
#include "op/shape_context.h"

namespace millrace {

Step::Step(const Program& program) : program_(program), runtime_(program.runtime_) {
  slots.resize(program.frames_[0].num_slots);
  scratch.resize(program.max_outputs_);
  seen_.resize(program.total_slots_);
  seen_valid_.resize(program.ops_.size());
  for (const auto& [slot, constant] : program.frames_[0].constants) slots[slot].tensor = program.constants_[constant];
}

void Step::end(bool failed) {
  if (used_step_resources_.exchange(false, std::memory_order_relaxed)) step_resources_.clear();
  scope_ = nullptr;
  if (!failed) return;
  for (InputValue& value : slots) value = InputValue();
  for (InputValue& value : scratch) value = InputValue();
  for (const auto& [slot, constant] : program_.frames_[0].constants) slots[slot].tensor = program_.constants_[constant];
}

namespace {

// What a reference holds counts as the input's shape.
TensorShape actual_shape(const InputValue& input) {
  return input.variable ? input.variable->value_or_empty().shape() : input.tensor.shape();
}

bool same_shape(const TensorShape& a, const TensorShape& b) {
  return a.rank() == b.rank() && std::equal(a.dims().begin(), a.dims().end(), b.dims().begin());
}

}  // namespace

bool Step::shapes_as_seen(const Program::Op& op, size_t index, std::span<const InputValue> inputs) const {
  if (!seen_valid_[index]) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorShape& seen = seen_[op.seen_begin + i];
    if (inputs[i].variable ? !same_shape(actual_shape(inputs[i]), seen) : !same_shape(inputs[i].tensor.shape(), seen)) {
      return false;
    }
  }
  return true;
}

void Step::remember_shapes(const Program::Op& op, size_t index, std::span<const InputValue> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) seen_[op.seen_begin + i] = actual_shape(inputs[i]);
  seen_valid_[index] = true;
}

absl::Status dereference(std::span<const Program::Deref> derefs, InputValue* slots) {
  for (const Program::Deref& deref : derefs) {
    InputValue& slot = slots[deref.slot];
    if (!slot.variable) continue;
    if (deref.keep_reference) {
      if (deref.needs_value && !slot.variable->is_initialized()) [[unlikely]] {
        return failed_precondition("Attempting to use uninitialized value ", *deref.source);
      }
      continue;
    }
    absl::StatusOr<Tensor> value = slot.variable->value(*deref.source);
    if (!value.ok()) [[unlikely]] {
      if (deref.needs_value) return value.status();
      value = Tensor();
    }
    slot.tensor = *std::move(value);
    slot.variable.reset();
  }
  return absl::OkStatus();
}

absl::Status check_contract(const Program::Op& op, std::span<const InputValue> inputs) {
  std::vector<PartialTensorShape> shapes;
  std::vector<const Tensor*> values;
  shapes.reserve(inputs.size());
  values.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].variable) {
      const Tensor value = inputs[i].variable->value_or_empty();
      shapes.push_back(value.has_value() ? PartialTensorShape(value.shape()) : inputs[i].variable->shape());
    } else {
      shapes.emplace_back(inputs[i].tensor.shape());
    }
    values.push_back(i < 64 && (op.constant_inputs >> i & 1) ? &inputs[i].tensor : nullptr);
  }
  ShapeContext context(op.state->info, std::move(shapes), std::move(values));
  return op.state->op->shape(context);
}

absl::Status node_error(const NodeState& state, std::span<const InputValue> inputs, const absl::Status& status) {
  std::string text = str_cat(to_std(status.message()), "\n\t [[{{node ", state.info.name, "}}]] ", state.info.op, "(");
  constexpr size_t kMaxInputs = 8;
  for (size_t i = 0; i < std::min(inputs.size(), kMaxInputs); ++i) {
    if (i > 0) text += ", ";
    if (inputs[i].variable) {
      str_append(&text, dtype_name(ref_dtype(inputs[i].variable->dtype())), actual_shape(inputs[i]));
    } else if (inputs[i].tensor.has_value()) {
      str_append(&text, dtype_name(inputs[i].tensor.dtype()), inputs[i].tensor.shape());
    } else {
      str_append(&text, i < state.info.input_types.size() ? dtype_name(state.info.input_types[i]) : "?");
    }
  }
  str_append(&text, inputs.size() > kMaxInputs ? ", ...)" : ")");
  if (!state.source.empty()) str_append(&text, " created at ", state.source);
  for (const CallSite* site = state.site.get(); site != nullptr; site = site->caller.get()) {
    str_append(&text, "\n\t [[{{node ", site->node, "}}]] ", site->op, "(", site->function, ")");
    if (!site->source.empty()) str_append(&text, " created at ", site->source);
  }
  absl::Status out(status.code(), text);
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  // The innermost node is where it happened.
  if (!where_of(out).node_name.empty()) return out;
  return with_where(std::move(out), {state.info.name, state.info.op, state.info.device, state.source});
}

absl::Status missing_output(const NodeState& state, size_t output) {
  return internal_error("Missing ", output, "-th output from {{node ", state.info.name, "}}");
}

void record_node(const NodeState& state, int64_t start, std::span<const InputValue> outputs,
                 StepStatsCollector* stats) {
  NodeStats node;
  node.node_name = state.info.name;
  node.label = str_cat(state.info.name, " = ", state.info.op, "()");
  node.device = state.info.device;
  node.scheduled_nanos = node.start_nanos = start;
  node.end_nanos = wall_nanos();
  node.thread = static_cast<uint32_t>(std::hash<std::thread::id>()(std::this_thread::get_id()));
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& t = outputs[i].tensor;
    if (t.has_value())
      node.outputs.push_back({static_cast<int>(i), t.dtype(), t.shape(), static_cast<int64_t>(t.byte_size())});
  }
  stats->add(std::move(node));
}

absl::Status exception_status() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return resource_exhausted("out of memory");
  } catch (const errors::OpError& error) {
    return status_of(error);
  } catch (const std::exception& error) {
    return internal_error("a kernel threw: ", error.what());
  } catch (...) {
    return internal_error("a kernel threw something that is no exception");
  }
}

int& call_depth() {
  thread_local int depth = 0;
  return depth;
}

ComputeGuard::ComputeGuard(const RuntimeOptions& options) {
#if defined(__x86_64__)
  csr_ = _mm_getcsr();
  constexpr uint32_t kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  if ((csr_ & (kFlushToZero | kDenormalsAreZero)) != (kFlushToZero | kDenormalsAreZero)) {
    _mm_setcsr(csr_ | kFlushToZero | kDenormalsAreZero);
  }
#endif
  if (const int wanted = options.intra_op_parallelism_threads; wanted > 0) {
    if (const int now = intra_op_threads(); now != wanted) {
      threads_before_ = now;
      set_intra_op_threads(wanted);
    }
  }
}

ComputeGuard::~ComputeGuard() {
#if defined(__x86_64__)
  _mm_setcsr(csr_);
#endif
  if (threads_before_ > 0) set_intra_op_threads(threads_before_);
}

}  // namespace millrace
