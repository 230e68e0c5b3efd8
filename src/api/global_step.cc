#include "millrace/train/global_step.h"

#include "api/op_builder.h"
#include "base/log.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
#include "millrace/session.h"

namespace millrace::train {
namespace {

constexpr const char* kReadCache = "global_step_read_op_cache";

Variable make_global_step() {
  const name_scope root("");
  return get_variable(GraphKeys::GLOBAL_STEP, PartialTensorShape::scalar(),
                      {.dtype = int64,
                       .initializer = zeros_initializer(),
                       .trainable = false,
                       .collections = std::vector<std::string>{GraphKeys::GLOBAL_VARIABLES, GraphKeys::GLOBAL_STEP}});
}

}  // namespace

Variable get_global_step() {
  const std::vector<Variable> collected = get_collection<Variable>(GraphKeys::GLOBAL_STEP);
  if (collected.size() > 1) {
    log_error("Multiple tensors in global_step collection.");
    return {};
  }
  if (!collected.empty()) {
    assert_global_step(collected[0]);
    return collected[0];
  }
  for (const Variable& v : global_variables()) {
    if (v.name() == "global_step:0") {
      assert_global_step(v);
      return v;
    }
  }
  return {};
}

void assert_global_step(const Variable& step) {
  const DataType dtype = base_dtype(step.dtype());
  if (!is_integer(dtype))
    raise(invalid_argument("Existing \"global_step\" does not have integer type: ", dtype_name(dtype)));
  if (step.shape().has_rank() && step.shape().rank() != 0)
    raise(invalid_argument("Existing \"global_step\" is not scalar: ", step.shape()));
}

Variable create_global_step() {
  if (get_global_step()) raise(invalid_argument("\"global_step\" already exists."));
  return make_global_step();
}

Variable get_or_create_global_step() {
  const Variable existing = get_global_step();
  return existing ? existing : make_global_step();
}

int64_t global_step(Session& session, const Variable& step) {
  const Tensor value = session.run(Output(step));
  return value.dtype() == int32 ? value.scalar<int32_t>() : value.scalar<int64_t>();
}

Output get_global_step_read() {
  const std::vector<Output> cached = get_collection<Output>(kReadCache);
  if (cached.size() > 1)
    raise(invalid_argument("There are multiple items in collection ", kReadCache, ". There should be only one."));
  return cached.empty() ? Output() : cached[0];
}

Output get_or_create_global_step_read() {
  if (const Output cached = get_global_step_read()) return cached;
  const Variable step = get_global_step();
  if (!step) return {};
  const name_scope root("");
  const name_scope scope(step.op().name() + "/");
  const control_dependencies none(nullptr);
  const Output read = step.initialized_value() + 0;
  add_to_collection(kReadCache, read);
  return read;
}

}  // namespace millrace::train
