#include "op/testing.h"

#include <condition_variable>
#include <thread>

#include "op/shape_context.h"

namespace millrace {
namespace {

class NoFunctions final : public FunctionRunner {
 public:
  absl::StatusOr<std::shared_ptr<CallableFunction>> instantiate(const FunctionRef& f) override {
    return not_found("no function ", f.name);
  }
  void schedule(std::function<void()> work) override { std::thread(std::move(work)).detach(); }
};

class TestServices final : public StepServices {
 public:
  ResourceManager& resources() override { return resources_; }
  ResourceManager& step_resources() override { return step_resources_; }
  CancellationScope* cancellation() override { return &scope_; }
  FunctionRunner* functions() override { return functions_; }
  int64_t step_id() const override { return 1; }
  void schedule(std::function<void()> work) override { functions_->schedule(std::move(work)); }
  void set_functions(FunctionRunner* f) { functions_ = f; }

 private:
  ResourceManager resources_, step_resources_;
  CancellationScope scope_;
  NoFunctions none_;
  FunctionRunner* functions_ = &none_;
};

absl::Status run_kernel(Kernel& kernel, KernelContext& ctx) {
  if (!kernel.is_async()) return kernel.compute(ctx);
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  absl::Status result;
  static_cast<AsyncKernel&>(kernel).compute_async(ctx, [&](absl::Status status) {
    std::lock_guard lock(mutex);
    result = std::move(status);
    done = true;
    finished.notify_all();
  });
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
  return result;
}

}  // namespace

struct OpTest::State {
  TestServices services;
};

OpTest::OpTest(const Registry& registry, std::string op)
    : entry_(registry.find(op)), registry_(registry), state_(std::make_unique<State>()) {
  node_.name = "test";
  node_.op = std::move(op);
}
OpTest::~OpTest() = default;

OpTest& OpTest::attr(std::string name, AttrValue value) {
  node_.attrs.insert_or_assign(std::move(name), std::move(value));
  return *this;
}

OpTest& OpTest::input(Tensor value) {
  args_.push_back({inputs_.size()});
  inputs_.push_back({std::move(value), nullptr});
  return *this;
}

OpTest& OpTest::inputs(std::vector<Tensor> list) {
  args_.emplace_back();
  for (Tensor& t : list) {
    args_.back().push_back(inputs_.size());
    inputs_.push_back({std::move(t), nullptr});
  }
  return *this;
}

OpTest& OpTest::ref_input(std::shared_ptr<VariableResource> variable) {
  args_.push_back({inputs_.size()});
  inputs_.push_back({variable->value_or_empty(), std::move(variable)});
  return *this;
}

OpTest& OpTest::functions(FunctionRunner* runner) {
  state_->services.set_functions(runner);
  return *this;
}

OpTest& OpTest::clear_inputs() {
  inputs_.clear();
  args_.clear();
  return *this;
}

ResourceManager& OpTest::resources() { return state_->services.resources(); }

absl::Status OpTest::infer_types() {
  const auto type_of = [](const InputValue& v) { return v.variable ? v.variable->dtype() : v.tensor.dtype(); };
  for (size_t i = 0; i < entry_->def.inputs.size() && i < args_.size(); ++i) {
    const ArgDef& arg = entry_->def.inputs[i];
    if (!arg.type_list_attr.empty()) {
      std::vector<DataType> types;
      for (const size_t j : args_[i]) types.push_back(type_of(inputs_[j]));
      node_.attrs.try_emplace(arg.type_list_attr, types);
    }
    if (!arg.number_attr.empty()) node_.attrs.try_emplace(arg.number_attr, static_cast<int64_t>(args_[i].size()));
    if (!arg.type_attr.empty() && !args_[i].empty())
      node_.attrs.try_emplace(arg.type_attr, type_of(inputs_[args_[i][0]]));
  }
  return check_and_complete_attrs(entry_->def, &node_.attrs);
}

absl::Status OpTest::prepare() {
  if (entry_ == nullptr) return not_found("Op type not registered '", node_.op, "'");
  MR_RETURN_IF_ERROR(infer_types());
  MR_ASSIGN_OR_RETURN(const ArgTypes in, resolve_args(entry_->def.inputs, node_.attrs));
  MR_ASSIGN_OR_RETURN(const ArgTypes out, resolve_args(entry_->def.outputs, node_.attrs));
  node_.input_types = in.types;
  node_.output_types = out.types;
  return absl::OkStatus();
}

absl::Status OpTest::run() {
  MR_RETURN_IF_ERROR(prepare());
  if (node_.input_types.size() != inputs_.size()) {
    return invalid_argument(node_.op, " takes ", node_.input_types.size(), " inputs, the test gives ", inputs_.size());
  }
  if (!kernel_) {
    MR_ASSIGN_OR_RETURN(const KernelDef* def, registry_.find_kernel(node_.op, "CPU", node_.attrs));
    kernel_ = def->create();
    KernelInit init(node_, state_->services.functions(), &state_->services.resources());
    if (absl::Status s = kernel_->init(init); !s.ok()) {
      kernel_.reset();
      return s;
    }
  }
  std::vector<PartialTensorShape> shapes;
  std::vector<const Tensor*> values;
  for (const InputValue& v : inputs_) {
    shapes.push_back(v.tensor.has_value() ? PartialTensorShape(v.tensor.shape()) : PartialTensorShape());
    values.push_back(v.tensor.has_value() ? &v.tensor : nullptr);
  }
  ShapeContext context(node_, shapes, values);
  if (entry_->shape != nullptr) MR_RETURN_IF_ERROR(entry_->shape(context));

  outputs_.assign(node_.output_types.size(), {});
  std::vector<InputValue> inputs = inputs_;
  KernelContext ctx(node_, node_.output_types.data(), inputs, outputs_, &state_->services);
  MR_RETURN_IF_ERROR(run_kernel(*kernel_, ctx));
  for (int i = 0; i < num_outputs(); ++i) {
    const Tensor& t = output(i);
    if (t.has_value() && !context.output(i).is_compatible_with(t.shape())) {
      return internal_error(node_.op, ": output ", i, " has shape ", t.shape(), ", the shape function said ",
                            context.output(i));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> OpTest::infer(const std::vector<PartialTensorShape>& shapes,
                                                       std::vector<const Tensor*> values) {
  MR_RETURN_IF_ERROR(prepare());
  ShapeContext context(node_, shapes, std::move(values));
  if (entry_->shape == nullptr) return unimplemented(node_.op, " has no shape function");
  MR_RETURN_IF_ERROR(entry_->shape(context));
  std::vector<std::string> out;
  for (int i = 0; i < context.num_outputs(); ++i) out.push_back(context.output(i).to_string());
  return out;
}

}  // namespace millrace
