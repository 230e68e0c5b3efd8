// Ops that call functions of the graph's library. All of them may wait inside their functions, so all are asynchronous;
// a function that does not wait runs at once on the thread that calls it.

#include <algorithm>
#include <atomic>

#include "graph/device_name.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"

namespace millrace {
namespace {

using Done = AsyncKernel::Done;

absl::StatusOr<std::vector<Tensor>> values_from(const KernelContext& ctx, int first) {
  std::vector<Tensor> args;
  args.reserve(static_cast<size_t>(ctx.num_inputs() - first));
  for (int i = first; i < ctx.num_inputs(); ++i) args.push_back(ctx.input(i));
  return args;
}

// `what`: the function's part in the op, for messages.
absl::Status check_call(const NodeInfo& node, const CallableFunction& f, std::span<const DataType> inputs,
                        std::span<const DataType> outputs, std::string_view name, std::string_view what) {
  if (!std::ranges::equal(inputs, f.input_types(), {}, base_dtype)) {
    return invalid_argument("'", node.name, "': the arguments of function '", name,
                            "' are of other types than the inputs");
  }
  if (outputs.size() != f.output_types().size()) {
    if (name == "SymbolicGradient") {
      return invalid_argument("'", node.name, "': SymGrad expects to return ", outputs.size(), " tensor(s), but get ",
                              f.output_types().size(), " tensor(s) instead");
    }
    return invalid_argument(what, " returned ", f.output_types().size(), " arguments. Expected: ", outputs.size(),
                            ", as outputs of '", node.name, "'");
  }
  if (!std::ranges::equal(outputs, f.output_types(), {}, base_dtype)) {
    return invalid_argument("'", node.name, "': the results of function '", name,
                            "' are of other types than the outputs");
  }
  return absl::OkStatus();
}

// A function named by an attribute, looked up when it is first called: functions may call themselves.
class Callee {
 public:
  absl::Status init(const KernelInit& init, FunctionRef ref, int first_input, bool returns_outputs = true) {
    ref_ = std::move(ref);
    functions_ = init.functions();
    const std::vector<DataType>& types = init.node().input_types;
    if (static_cast<size_t>(first_input) > types.size())
      return invalid_argument("'", init.node().name, "' has too few inputs to call '", ref_.name, "'");
    argument_types_.assign(types.begin() + first_input, types.end());
    returns_outputs_ = returns_outputs;
    return absl::OkStatus();
  }
  // What the function is given before those inputs.
  void prepend_argument(DataType type) { argument_types_.insert(argument_types_.begin(), type); }
  void call_it(std::string_view what) { what_ = what; }
  absl::StatusOr<std::shared_ptr<CallableFunction>> get(const NodeInfo& node) {
    std::lock_guard lock(mutex_);
    if (function_) return function_;
    MR_ASSIGN_OR_RETURN(std::shared_ptr<CallableFunction> made, functions_->instantiate(ref_));
    const std::span<const DataType> outputs = returns_outputs_ ? std::span<const DataType>(node.output_types)
                                                               : std::span<const DataType>(made->output_types());
    MR_RETURN_IF_ERROR(check_call(node, *made, argument_types_, outputs, ref_.name, what_));
    return function_ = std::move(made);
  }
  void call(KernelContext& ctx, std::vector<Tensor> args, Done done) {
    absl::StatusOr<std::shared_ptr<CallableFunction>> f = get(ctx.node());
    if (!f.ok()) {
      done(f.status());
      return;
    }
    (*f)->run(std::move(args), ctx.cancellation(),
              [&ctx, keep = *f, done = std::move(done)](absl::Status status, std::vector<Tensor> results) {
                for (size_t i = 0; status.ok() && i < results.size(); ++i)
                  status = ctx.set_output(static_cast<int>(i), std::move(results[i]));
                done(std::move(status));
              });
  }
  const std::string& name() const { return ref_.name; }

 private:
  FunctionRef ref_;
  FunctionRunner* functions_ = nullptr;
  std::vector<DataType> argument_types_;
  std::string_view what_ = "The function";
  bool returns_outputs_ = true;
  std::mutex mutex_;
  std::shared_ptr<CallableFunction> function_;
};

// Calls what `callee` makes of the attribute f, with all inputs.
template <FunctionRef (*callee)(FunctionRef f)> class CallWithAll final : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(FunctionRef f, init.attr<FunctionRef>("f"));
    return callee_.init(init, callee(std::move(f)), 0);
  }
  void compute_async(KernelContext& ctx, Done done) override {
    absl::StatusOr<std::vector<Tensor>> args = values_from(ctx, 0);
    if (!args.ok()) return done(args.status());
    callee_.call(ctx, *std::move(args), std::move(done));
  }

 private:
  Callee callee_;
};

FunctionRef itself(FunctionRef f) { return f; }
using PartitionedCall = CallWithAll<itself>;

// Arguments and gradients of results in, gradients of arguments out. The runtime makes the gradient of a function under
// the name of this op.
FunctionRef gradient_of(FunctionRef f) { return FunctionRef("SymbolicGradient", {{"f", std::move(f)}}); }
using SymbolicGradient = CallWithAll<gradient_of>;

// Any value as a condition: numbers by their value, strings by not being empty, tensors that are no scalars by having
// elements.
absl::StatusOr<bool> truth(const Tensor& t) {
  if (!t.has_value()) return failed_precondition("the condition has no value");
  if (t.rank() > 0) return t.num_elements() > 0;
  switch (t.dtype()) {
#define MR_CASE(T) \
  case dtype_of<T>: return t.unchecked<T>()[0] != T{};
    MR_CASE(bool)
    MR_CASE(float)
    MR_CASE(double)
    MR_CASE(int8_t)
    MR_CASE(int16_t)
    MR_CASE(int32_t)
    MR_CASE(int64_t)
    MR_CASE(uint8_t)
    MR_CASE(uint16_t)
    MR_CASE(uint32_t)
    MR_CASE(uint64_t)
#undef MR_CASE
    case DataType::kString: return !t.unchecked<std::string>()[0].empty();
    default: return invalid_argument("a ", dtype_name(t.dtype()), " is no condition");
  }
}

class If final : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(FunctionRef then_branch, init.attr<FunctionRef>("then_branch"));
    MR_ASSIGN_OR_RETURN(FunctionRef else_branch, init.attr<FunctionRef>("else_branch"));
    MR_RETURN_IF_ERROR(then_.init(init, std::move(then_branch), 1));
    return else_.init(init, std::move(else_branch), 1);
  }
  void compute_async(KernelContext& ctx, Done done) override {
    const absl::StatusOr<bool> condition = truth(ctx.input(0));
    if (!condition.ok()) return done(condition.status());
    absl::StatusOr<std::vector<Tensor>> args = values_from(ctx, 1);
    if (!args.ok()) return done(args.status());
    (*condition ? then_ : else_).call(ctx, *std::move(args), std::move(done));
  }

 private:
  Callee then_, else_;
};

class Case final : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(std::vector<FunctionRef> branches, init.attr<std::vector<FunctionRef>>("branches"));
    for (FunctionRef& branch : branches) {
      branches_.push_back(std::make_unique<Callee>());
      MR_RETURN_IF_ERROR(branches_.back()->init(init, std::move(branch), 1));
    }
    return branches_.empty() ? invalid_argument("Case needs a branch") : absl::OkStatus();
  }
  void compute_async(KernelContext& ctx, Done done) override {
    const absl::StatusOr<int32_t> index = ctx.scalar<int32_t>(0);
    if (!index.ok()) return done(index.status());
    absl::StatusOr<std::vector<Tensor>> args = values_from(ctx, 1);
    if (!args.ok()) return done(args.status());
    // Out of range means the last branch.
    const size_t last = branches_.size() - 1;
    const size_t branch = *index < 0 || static_cast<size_t>(*index) > last ? last : static_cast<size_t>(*index);
    branches_[branch]->call(ctx, *std::move(args), std::move(done));
  }

 private:
  std::vector<std::unique_ptr<Callee>> branches_;
};

// One loop of calls under way. Functions that end at once are called from a plain loop (advance), never from each
// other's callbacks, so that the stack does not grow with the iterations.
class CallLoop : public std::enable_shared_from_this<CallLoop> {
 public:
  CallLoop(KernelContext& context, Done done) : ctx(context), done_(std::move(done)) {}
  virtual ~CallLoop() = default;

  // Goes on until the loop has ended or a function has not returned yet.
  void advance() {
    while (true) {
      state_.store(kCalling);
      call([self = shared_from_this()](absl::Status s, std::vector<Tensor> r) {
        self->returned(std::move(s), std::move(r));
      });
      int calling = kCalling;
      if (state_.compare_exchange_strong(calling, kWaiting)) return;  // the callback goes on
      if (!take_results()) return;
    }
  }

 protected:
  virtual void call(CallableFunction::Done returned) = 0;
  // What a call gave, to be kept; false if the loop is to end.
  virtual absl::StatusOr<bool> take(std::vector<Tensor> results) = 0;
  virtual std::vector<Tensor> take_outputs() = 0;

  bool finish(absl::Status status) {
    if (status.ok()) {
      std::vector<Tensor> outputs = take_outputs();
      for (size_t i = 0; status.ok() && i < outputs.size(); ++i)
        status = ctx.set_output(static_cast<int>(i), std::move(outputs[i]));
    }
    const Done last = std::move(done_);
    last(std::move(status));
    return false;
  }

  KernelContext& ctx;

 private:
  void returned(absl::Status s, std::vector<Tensor> r) {
    status_ = std::move(s);
    results_ = std::move(r);
    if (state_.exchange(kReturned) == kCalling) return;  // advance() sees it
    if (take_results()) advance();
  }

  // False if the loop has ended.
  bool take_results() {
    if (status_.ok()) status_ = ctx.check_cancelled();
    if (!status_.ok()) return finish(std::move(status_));
    const absl::StatusOr<bool> go_on = take(std::move(results_));
    return go_on.ok() && *go_on ? true : finish(go_on.status());
  }

  static constexpr int kCalling = 0, kWaiting = 1, kReturned = 2;
  std::vector<Tensor> results_;
  absl::Status status_;
  Done done_;
  std::atomic<int> state_{kCalling};
};

class While final : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(FunctionRef cond, init.attr<FunctionRef>("cond"));
    MR_ASSIGN_OR_RETURN(FunctionRef body, init.attr<FunctionRef>("body"));
    MR_RETURN_IF_ERROR(cond_.init(init, std::move(cond), 0, /*returns_outputs=*/false));
    body_.call_it("While loop body");
    return body_.init(init, std::move(body), 0);
  }

  void compute_async(KernelContext& ctx, Done done) override {
    absl::StatusOr<std::vector<Tensor>> args = values_from(ctx, 0);
    if (!args.ok()) return done(args.status());
    auto cond = cond_.get(ctx.node());
    if (!cond.ok()) return done(cond.status());
    auto body = body_.get(ctx.node());
    if (!body.ok()) return done(body.status());
    if ((*cond)->output_types().size() != 1) {
      return done(invalid_argument("Expected a single scalar return value from the condition '", cond_.name(),
                                   "' of a While, got ", (*cond)->output_types().size(), " tensors."));
    }
    auto loop = std::make_shared<Loop>(ctx, *std::move(cond), *std::move(body), *std::move(args), std::move(done));
    loop->advance();
  }

 private:
  class Loop final : public CallLoop {
   public:
    Loop(KernelContext& context, std::shared_ptr<CallableFunction> cond, std::shared_ptr<CallableFunction> body,
         std::vector<Tensor> initial, Done done)
        : CallLoop(context, std::move(done)),
          cond_(std::move(cond)),
          body_(std::move(body)),
          vars_(std::move(initial)) {}

   private:
    void call(CallableFunction::Done returned) override {
      if (in_cond_) cond_->run(vars_, ctx.cancellation(), std::move(returned));
      else body_->run(std::move(vars_), ctx.cancellation(), std::move(returned));
    }
    absl::StatusOr<bool> take(std::vector<Tensor> results) override {
      if (!in_cond_) {
        vars_ = std::move(results);
        in_cond_ = true;
        return true;
      }
      in_cond_ = false;
      return truth(results[0]);
    }
    std::vector<Tensor> take_outputs() override { return std::move(vars_); }

    std::shared_ptr<CallableFunction> cond_, body_;
    std::vector<Tensor> vars_;
    bool in_cond_ = true;
  };

  Callee cond_, body_;
};

class For final : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(FunctionRef body, init.attr<FunctionRef>("body"));
    MR_RETURN_IF_ERROR(body_.init(init, std::move(body), 3));
    body_.prepend_argument(DataType::kInt32);
    body_.call_it("For loop body");
    return absl::OkStatus();
  }

  void compute_async(KernelContext& ctx, Done done) override {
    static constexpr const char* kNames[] = {"start", "limit", "delta"};
    int32_t bounds[3];
    for (int i = 0; i < 3; ++i) {
      if (ctx.shape(i).rank() != 0) return done(invalid_argument(kNames[i], " must be a scalar, but ", ctx.shape(i)));
      const absl::StatusOr<int32_t> value = ctx.scalar<int32_t>(i);
      if (!value.ok()) return done(value.status());
      bounds[i] = *value;
    }
    const auto [start, limit, delta] = bounds;
    if (!(delta > 0 ? start <= limit : delta < 0 ? start >= limit : start == limit))
      return done(invalid_argument("Invalid start/limit/delta: ", start, " ", limit, " ", delta));
    absl::StatusOr<std::vector<Tensor>> args = values_from(ctx, 3);
    if (!args.ok()) return done(args.status());
    auto body = body_.get(ctx.node());
    if (!body.ok()) return done(body.status());
    auto loop = std::make_shared<Loop>(ctx, *std::move(body), *std::move(args), std::move(done));
    loop->run(start, limit, delta);
  }

 private:
  class Loop final : public CallLoop {
   public:
    Loop(KernelContext& context, std::shared_ptr<CallableFunction> body, std::vector<Tensor> initial, Done done)
        : CallLoop(context, std::move(done)), body_(std::move(body)), vars_(std::move(initial)) {}
    void run(int64_t start, int64_t limit, int64_t delta) {
      i_ = start, limit_ = limit, delta_ = delta;
      if (start == limit) finish(absl::OkStatus());
      else advance();
    }

   private:
    void call(CallableFunction::Done returned) override {
      std::vector<Tensor> args;
      args.reserve(vars_.size() + 1);
      args.emplace_back(static_cast<int32_t>(i_));
      for (Tensor& var : vars_) args.push_back(std::move(var));
      body_->run(std::move(args), ctx.cancellation(), std::move(returned));
    }
    absl::StatusOr<bool> take(std::vector<Tensor> results) override {
      vars_ = std::move(results);
      i_ += delta_;
      return delta_ > 0 ? i_ < limit_ : i_ > limit_;
    }
    std::vector<Tensor> take_outputs() override { return std::move(vars_); }

    std::shared_ptr<CallableFunction> body_;
    std::vector<Tensor> vars_;
    int64_t i_ = 0, limit_ = 0, delta_ = 0;  // wide enough for the step behind the last
  };

  Callee body_;
};

// A call on a named device: a CPU of this process, all of which are one.
class RemoteCall final : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(FunctionRef f, init.attr<FunctionRef>("f"));
    return callee_.init(init, std::move(f), 1);
  }
  void compute_async(KernelContext& ctx, Done done) override {
    if (absl::Status target = check_target(ctx); !target.ok()) return done(std::move(target));
    absl::StatusOr<std::vector<Tensor>> args = values_from(ctx, 1);
    if (!args.ok()) return done(args.status());
    callee_.call(ctx, *std::move(args), std::move(done));
  }

 private:
  static absl::Status check_target(const KernelContext& ctx) {
    MR_ASSIGN_OR_RETURN(const std::string name, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(const DeviceName wanted, parse_device(name));
    MR_ASSIGN_OR_RETURN(const DeviceName own, parse_device(ctx.node().device));
    DeviceName full = merge_devices(own, wanted);
    full.id = own.id;
    if (full == own) return absl::OkStatus();
    return invalid_argument("Currently don't support instantiating functions on device: ", full.to_string(),
                            "; only on those of the node's own process, '", ctx.node().device, "'");
  }
  Callee callee_;
};

class ToBool final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const bool value, truth(ctx.input(0)));
    return ctx.set_scalar(0, value);
  }
  bool is_cheap() const override { return true; }
};

// Where the node's kind of device stands among these names; behind them all if it does not.
class DeviceIndex final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const auto names, init.attr<std::vector<std::string>>("device_names"));
    const auto cpu = std::ranges::find(names, "CPU");
    index_ = static_cast<int32_t>(cpu - names.begin());
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return ctx.set_scalar(0, index_); }
  bool is_cheap() const override { return true; }
  int32_t index_ = 0;
};

class Arg final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    return failed_precondition("'", ctx.node().name, "' is an argument of a function and has been given no value");
  }
};

class Retval final : public Kernel {
 public:
  absl::Status compute(KernelContext&) override { return absl::OkStatus(); }
};

class FakeParam final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, init.attr<PartialTensorShape>("shape"));
    MR_ASSIGN_OR_RETURN(const DataType dtype, init.attr<DataType>("dtype"));
    std::vector<int64_t> dims;
    for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape.dim(i) < 0 ? 0 : shape.dim(i));
    MR_ASSIGN_OR_RETURN(const TensorShape full, make_shape(dims));
    MR_ASSIGN_OR_RETURN(value_, make_zeroed_tensor(dtype, full));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return ctx.set_output(0, value_); }

 private:
  Tensor value_;
};

// Results are as `output_shapes` says where the op has it and it is complete.
absl::Status declared_shapes(ShapeContext& c) {
  const auto shapes = c.attr<std::vector<PartialTensorShape>>("output_shapes");
  if (!shapes.ok() || shapes->size() != static_cast<size_t>(c.num_outputs())) return absl::OkStatus();
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, (*shapes)[static_cast<size_t>(i)]));
  return absl::OkStatus();
}

absl::Status arg_shape(ShapeContext& c) {
  const auto it = c.node().attrs.find("_output_shapes");
  if (it == c.node().attrs.end()) return absl::OkStatus();
  const auto* shapes = it->second.get<std::vector<PartialTensorShape>>();
  return shapes && shapes->size() == 1 ? c.set_output(0, (*shapes)[0]) : absl::OkStatus();
}

absl::Status fake_param_shape(ShapeContext& c) { return c.set_output(0, c.attr<PartialTensorShape>("shape")); }

absl::Status remote_call_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return unknown_shapes(c);
}

absl::Status symbolic_gradient_shape(ShapeContext& c) {
  if (c.num_inputs() < c.num_outputs())
    return invalid_argument("len(inputs) < len(outputs): ", c.num_inputs(), " < ", c.num_outputs());
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, c.input(i)));
  return absl::OkStatus();
}

// Of PartitionedCall, and of a call by the function's own name.
absl::Status call_gradient(GradientContext& g) {
  FunctionRef f(g.node().op, g.node().attrs);
  if (g.node().op.ends_with("PartitionedCall")) {
    MR_ASSIGN_OR_RETURN(f, g.attr<FunctionRef>("f"));
  }
  std::vector<Output> inputs;
  std::vector<DataType> types;
  for (int i = 0; i < g.num_inputs(); ++i) {
    inputs.push_back(g.x(i));
    types.push_back(g.dtype(g.x(i)));
  }
  for (int i = 0; i < g.num_outputs(); ++i) {
    const Output dy = g.dy(i);
    inputs.push_back(dy ? dy : g.op("ZerosLike", {g.y(i)}, {}, "zeros_like"));
  }
  const std::vector<Output> dxs =
      g.op_with_lists("SymbolicGradient", {inputs}, {{"f", std::move(f)}, {"Tout", std::move(types)}});
  for (int i = 0; i < static_cast<int>(dxs.size()); ++i) {
    const DataType dtype = g.dtype(g.x(i));
    if (is_floating(dtype) || is_complex(dtype)) g.set_dx(i, dxs[static_cast<size_t>(i)]);
  }
  return absl::OkStatus();
}

}  // namespace

void register_functional(Registry& registry) {
  registry.op("_Arg")
      .output("output: T")
      .attr("T: type")
      .attr("index: int >= 0")
      .stateful()
      .shape(arg_shape)
      .cpu<Arg>()
      .doc("An argument of a function.");
  registry.op("_Retval")
      .input("input: T")
      .attr("T: type")
      .attr("index: int >= 0")
      .stateful()
      .shape(no_outputs)
      .cpu<Retval>()
      .doc("A result of a function.");
  registry.op("FakeParam")
      .output("output: dtype")
      .attr("dtype: type")
      .attr("shape: shape")
      .shape(fake_param_shape)
      .cpu<FakeParam>()
      .doc("Stands for a value that a branch does not give.");

  registry.op("PartitionedCall")
      .input("args: Tin")
      .output("output: Tout")
      .attr("Tin: list(type) >= 0")
      .attr("Tout: list(type) >= 0")
      .attr("f: func")
      .attr("config: string = ''")
      .attr("config_proto: string = ''")
      .attr("executor_type: string = ''")
      .shape(unknown_shapes)
      .cpu<PartitionedCall>()
      .gradient(call_gradient)
      .doc("Calls a function without state.");
  registry.op("StatefulPartitionedCall")
      .input("args: Tin")
      .output("output: Tout")
      .attr("Tin: list(type) >= 0")
      .attr("Tout: list(type) >= 0")
      .attr("f: func")
      .attr("config: string = ''")
      .attr("config_proto: string = ''")
      .attr("executor_type: string = ''")
      .stateful()
      .shape(unknown_shapes)
      .cpu<PartitionedCall>()
      .gradient(call_gradient)
      .doc("Calls a function.");

  registry.op("SymbolicGradient")
      .input("input: Tin")
      .output("output: Tout")
      .attr("Tin: list(type) >= 1")
      .attr("Tout: list(type) >= 1")
      .attr("f: func")
      .shape(symbolic_gradient_shape)
      .cpu<SymbolicGradient>()
      .doc("Gradients of a function's arguments from these and the gradients of its results.");

  registry.op("RemoteCall")
      .input("target: string")
      .input("args: Tin")
      .output("output: Tout")
      .attr("Tin: list(type) >= 1")
      .attr("Tout: list(type) >= 1")
      .attr("f: func")
      .stateful()
      .shape(remote_call_shape)
      .cpu<RemoteCall>()
      .doc("Calls a function on a device of this process.");
  registry.op("For")
      .input("start: int32")
      .input("limit: int32")
      .input("delta: int32")
      .input("input: T")
      .output("output: T")
      .attr("T: list(type) >= 0")
      .attr("body: func")
      .shape(unknown_shapes)
      .cpu<For>()
      .doc("Calls body on each number from start up to limit and on its own last results.");
  registry.op("ToBool")
      .input("input: T")
      .output("output: bool")
      .attr("T: type")
      .shape(scalar_shape)
      .cpu<ToBool>()
      .not_differentiable()
      .doc("Whether a number is not zero, a string not empty, or a tensor of others has elements.");
  registry.op("DeviceIndex")
      .output("index: int32")
      .attr("device_names: list(string)")
      .stateful()
      .shape(scalar_shape)
      .cpu<DeviceIndex>()
      .doc("The index of this device's type among some names.");

  for (const bool stateless : {false, true}) {
    auto conditional = registry.op(stateless ? "StatelessIf" : "If");
    conditional.input("cond: Tcond")
        .input("input: Tin")
        .output("output: Tout")
        .attr("Tcond: type")
        .attr("Tin: list(type) >= 0")
        .attr("Tout: list(type) >= 0")
        .attr("then_branch: func")
        .attr("else_branch: func")
        .attr("output_shapes: list(shape) = []")
        .shape(declared_shapes)
        .cpu<If>()
        .doc("Calls one of two functions.");
    auto loop = registry.op(stateless ? "StatelessWhile" : "While");
    loop.input("input: T")
        .output("output: T")
        .attr("T: list(type) >= 0")
        .attr("cond: func")
        .attr("body: func")
        .attr("output_shapes: list(shape) = []")
        .attr("parallel_iterations: int = 10")
        .shape(declared_shapes)
        .cpu<While>()
        .doc("Calls body on its own results as long as cond holds of them.");
    auto choice = registry.op(stateless ? "StatelessCase" : "Case");
    choice.input("branch_index: int32")
        .input("input: Tin")
        .output("output: Tout")
        .attr("Tin: list(type) >= 0")
        .attr("Tout: list(type) >= 0")
        .attr("branches: list(func) >= 1")
        .attr("output_shapes: list(shape) = []")
        .shape(declared_shapes)
        .cpu<Case>()
        .doc("Calls one of several functions.");
    if (!stateless) conditional.stateful(), loop.stateful(), choice.stateful();
  }
}

}  // namespace millrace
