// Ops that decide what runs: TF1's dynamic control flow, which the executor gives its meaning (runtime/schedule.h), and
// the small ops that exist for their effect on order: NoOp, Assert, Print.

#include <cstdio>
#include <fstream>
#include <mutex>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"

namespace millrace {
namespace {

class NoOp final : public Kernel {
 public:
  absl::Status compute(KernelContext&) override { return absl::OkStatus(); }
  bool is_cheap() const override { return true; }
};

absl::Status forward(KernelContext& ctx, int in, int out) {
  return ctx.is_ref(in) ? ctx.forward_ref(in, out) : ctx.set_output(out, ctx.input(in));
}

// Enter, Exit, NextIteration: the value goes on; where to is the executor's business.
class Forward final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override { return forward(ctx, 0, 0); }
  bool is_cheap() const override { return true; }
};

class LoopCond final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const bool goes_on, ctx.scalar<bool>(0));
    return ctx.set_scalar(0, goes_on);
  }
  bool is_cheap() const override { return true; }
};

// The output that is not set is dead.
class Switch final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const bool pred, ctx.scalar<bool>(1));
    return forward(ctx, 0, pred ? 1 : 0);
  }
  bool is_cheap() const override { return true; }
};

class SwitchN final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int32_t index, ctx.scalar<int32_t>(1));
    const int last = ctx.num_outputs() - 1;
    return forward(ctx, 0, index < 0 || index > last ? last : index);
  }
  bool is_cheap() const override { return true; }
};

// Only the live input has arrived.
class Merge final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      if (!ctx.input(i).has_value() && !ctx.is_ref(i)) continue;
      MR_RETURN_IF_ERROR(forward(ctx, i, 0));
      return ctx.set_scalar<int32_t>(1, i);
    }
    return internal_error("Merge: no input is alive");
  }
  bool is_cheap() const override { return true; }
};

absl::Status switch_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  for (int i = 0; i < c.num_outputs(); ++i) {
    MR_RETURN_IF_ERROR(c.set_output(i, c.input(0)));
    const auto handle = c.handle(0);
    if (!handle.empty()) c.set_handle(i, {handle.begin(), handle.end()});
  }
  return absl::OkStatus();
}

// What all inputs agree on.
absl::Status merge_shape(ShapeContext& c) {
  PartialTensorShape out = c.input(0);
  for (int i = 1; i < c.num_inputs() && out.has_rank(); ++i) {
    const PartialTensorShape& in = c.input(i);
    if (!in.has_rank() || in.rank() != out.rank()) {
      out = PartialTensorShape();
      break;
    }
    std::vector<int64_t> dims(out.dims().begin(), out.dims().end());
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] != in.dim(static_cast<int>(d))) dims[d] = -1;
    }
    MR_ASSIGN_OR_RETURN(out, make_partial_shape(dims));
  }
  MR_RETURN_IF_ERROR(c.set_output(0, out));
  return c.set_output(1, PartialTensorShape::scalar());
}

absl::Status scalar_unchanged_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.set_output(0, PartialTensorShape::scalar());
}

// --- Assert and Print: values as TensorFlow shows them

template <class T> std::string element_text(const T& v) {
  if constexpr (std::is_same_v<T, std::string>) return v;
  else if constexpr (std::is_same_v<T, bool>) return v ? "1" : "0";
  else if constexpr (std::is_same_v<T, float>) return absl::StrFormat("%.9g", v);
  else if constexpr (std::is_same_v<T, double>) return absl::StrFormat("%.17g", v);
  else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return absl::StrFormat("%g", static_cast<float>(v));
  else if constexpr (std::is_integral_v<T>) return std::to_string(v);
  else return "?";
}

struct Summary {
  std::function<std::string(int64_t)> element;
  std::span<const int64_t> dims;
  int64_t limit;
  int64_t next = 0;
  std::string text;

  // The rank is bounded, so is the recursion.
  void append(size_t axis) {
    if (next >= limit) return;
    const bool leaf = axis + 1 == dims.size();
    for (int64_t i = 0; i < dims[axis]; ++i) {
      if (leaf) {
        if (next >= limit) {
          text += "...";
          return;
        }
        if (i > 0) text += ' ';
        text += element(next++);
      } else if (next < limit) {
        text += '[';
        append(axis + 1);
        text += ']';
      }
    }
  }
};

template <class T> std::string summarize_as(const Tensor& t, int64_t limit) {
  const auto values = t.unchecked<T>();
  Summary summary{
      [&](int64_t i) { return element_text(values[static_cast<size_t>(i)]); }, t.shape().dims(), limit, 0, {}};
  if (t.num_elements() == 0) return "";
  if (t.rank() == 0) return summary.element(0);
  summary.append(0);
  if (t.rank() > 1 && t.num_elements() > limit) summary.text += "...";
  return summary.text;
}

std::string summarize(const Tensor& t, int64_t limit) {
  if (limit < 0) limit = t.num_elements();
  switch (t.dtype()) {
#define MR_CASE(T) \
  case dtype_of<T>: return summarize_as<T>(t, limit);
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
    MR_CASE(bool)
    MR_CASE(std::string)
    MR_CASE(Half)
    MR_CASE(BFloat16)
#undef MR_CASE
    default: return "?";
  }
}

class Assert final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(summarize_, init.attr<int64_t>("summarize"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const bool condition, ctx.scalar<bool>(0));
    if (condition) return absl::OkStatus();
    std::string message = "assertion failed: ";
    for (int i = 1; i < ctx.num_inputs(); ++i)
      str_append(&message, i > 1 ? " [" : "[", summarize(ctx.input(i), summarize_), "]");
    return invalid_argument(message);
  }
  bool is_cheap() const override { return true; }

 private:
  int64_t summarize_ = 3;
};

absl::Status assert_shape(ShapeContext& c) { return c.with_rank(0, 0).status(); }

void print_line(std::FILE* to, std::string_view text) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

class Print final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(message_, init.attr<std::string>("message"));
    MR_ASSIGN_OR_RETURN(first_n_, init.attr<int64_t>("first_n"));
    MR_ASSIGN_OR_RETURN(summarize_, init.attr<int64_t>("summarize"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.is_ref(0)) MR_RETURN_IF_ERROR(ctx.forward_ref(0, 0));
    else MR_RETURN_IF_ERROR(ctx.set_output(0, ctx.input(0)));
    if (first_n_ >= 0 && calls_.fetch_add(1) >= first_n_) return absl::OkStatus();
    std::string line = message_;
    for (int i = 1; i < ctx.num_inputs(); ++i) str_append(&line, "[", summarize(ctx.input(i), summarize_), "]");
    print_line(stderr, line + "\n");
    return absl::OkStatus();
  }

 private:
  std::string message_;
  int64_t first_n_ = -1, summarize_ = 3;
  std::atomic<int64_t> calls_{0};
};

class PrintV2 final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(stream_, init.attr<std::string>("output_stream"));
    MR_ASSIGN_OR_RETURN(end_, init.attr<std::string>("end"));
    static constexpr std::string_view kKnown[] = {"stdout", "stderr", "log(info)", "log(warning)", "log(error)"};
    for (const std::string_view known : kKnown) {
      if (stream_ == known) return absl::OkStatus();
    }
    if (stream_.starts_with("file://")) return absl::OkStatus();
    return invalid_argument("Unknown output stream: ", stream_,
                            ", Valid streams are: stdout, stderr, log(info), log(warning), log(error), file://PATH");
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string text, ctx.scalar<std::string>(0));
    if (stream_ == "stdout" || stream_ == "stderr") {
      print_line(stream_ == "stdout" ? stdout : stderr, text + end_);
    } else if (stream_ == "log(info)") {
      log_info(text);
    } else if (stream_ == "log(warning)") {
      log_warning(text);
    } else if (stream_ == "log(error)") {
      log_error(text);
    } else {
      std::ofstream file(stream_.substr(7), std::ios::app);
      file << text << end_;
      if (!file.flush()) return permission_denied("PrintV2 cannot write to ", stream_);
    }
    return absl::OkStatus();
  }

 private:
  std::string stream_, end_;
};

class Abort final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(message_, init.attr<std::string>("error_msg"));
    MR_ASSIGN_OR_RETURN(quietly_, init.attr<bool>("exit_without_error"));
    return absl::OkStatus();
  }
  // TensorFlow ends the process; here the run ends, the process goes on.
  absl::Status compute(KernelContext&) override {
    return quietly_ ? aborted("Abort: the graph asked the process to exit") : aborted("Abort: ", message_);
  }

 private:
  std::string message_;
  bool quietly_ = false;
};

absl::Status print_gradient(GradientContext& g) {
  g.set_dx(0, g.dy(0));
  return absl::OkStatus();
}

}  // namespace

void register_control_flow(Registry& registry) {
  registry.op("NoOp").shape(no_outputs).cpu<NoOp>().not_differentiable().doc("Does nothing; for control dependencies.");
  registry.op("ControlTrigger")
      .shape(no_outputs)
      .cpu<NoOp>()
      .not_differentiable()
      .doc("Does nothing, and runs even if its control inputs are dead.");
  registry.op("Abort")
      .attr("error_msg: string = ''")
      .attr("exit_without_error: bool = false")
      .shape(no_outputs)
      .cpu<Abort>()
      .not_differentiable()
      .doc("Ends the run with an error.");

  registry.op("Switch")
      .input("data: T")
      .input("pred: bool")
      .output("output_false: T")
      .output("output_true: T")
      .attr("T: type")
      .shape(switch_shape)
      .cpu<Switch>()
      .doc("Hands data to the output that pred chooses; the other one is dead.");
  registry.op("RefSwitch")
      .input("data: Ref(T)")
      .input("pred: bool")
      .output("output_false: Ref(T)")
      .output("output_true: Ref(T)")
      .attr("T: type")
      .allows_uninitialized_input()
      .shape(switch_shape)
      .cpu<Switch>()
      .doc("Switch of a reference.");
  registry.op("_SwitchN")
      .input("data: T")
      .input("output_index: int32")
      .output("outputs: num_outs * T")
      .attr("num_outs: int >= 1")
      .attr("T: type")
      .shape(switch_shape)
      .cpu<SwitchN>()
      .doc("Hands data to one of several outputs; the others are dead.");
  registry.op("Merge")
      .input("inputs: N * T")
      .output("output: T")
      .output("value_index: int32")
      .attr("T: type")
      .attr("N: int >= 1")
      .shape(merge_shape)
      .cpu<Merge>()
      .doc("The one input that is alive, and its number.");
  registry.op("RefMerge")
      .input("inputs: Ref(N * T)")
      .output("output: Ref(T)")
      .output("value_index: int32")
      .attr("T: type")
      .attr("N: int >= 1")
      .shape(merge_shape)
      .cpu<Merge>()
      .doc("Merge of references.");

  registry.op("Enter")
      .input("data: T")
      .output("output: T")
      .attr("T: type")
      .attr("frame_name: string")
      .attr("is_constant: bool = false")
      .attr("parallel_iterations: int = 10")
      .shape(identity_shape)
      .cpu<Forward>()
      .doc("Hands data into a loop.");
  registry.op("RefEnter")
      .input("data: Ref(T)")
      .output("output: Ref(T)")
      .attr("T: type")
      .attr("frame_name: string")
      .attr("is_constant: bool = false")
      .attr("parallel_iterations: int = 10")
      .shape(unchanged_shape)
      .cpu<Forward>()
      .doc("Enter of a reference.");
  registry.op("Exit")
      .input("data: T")
      .output("output: T")
      .attr("T: type")
      .shape(identity_shape)
      .cpu<Forward>()
      .doc("Hands data out of a loop.");
  registry.op("RefExit")
      .input("data: Ref(T)")
      .output("output: Ref(T)")
      .attr("T: type")
      .shape(unchanged_shape)
      .cpu<Forward>()
      .doc("Exit of a reference.");
  registry.op("NextIteration")
      .input("data: T")
      .output("output: T")
      .attr("T: type")
      .shape(identity_shape)
      .cpu<Forward>()
      .doc("Hands data to the next iteration of a loop.");
  registry.op("RefNextIteration")
      .input("data: Ref(T)")
      .output("output: Ref(T)")
      .attr("T: type")
      .shape(unchanged_shape)
      .cpu<Forward>()
      .doc("NextIteration of a reference.");
  registry.op("LoopCond")
      .input("input: bool")
      .output("output: bool")
      .shape(scalar_unchanged_shape)
      .cpu<LoopCond>()
      .doc("Whether a loop goes on.");

  registry.op("Assert")
      .input("condition: bool")
      .input("data: T")
      .attr("T: list(type) >= 1")
      .attr("summarize: int = 3")
      .stateful()
      .shape(assert_shape)
      .cpu<Assert>()
      .not_differentiable()
      .doc("An error that shows data unless the condition holds.");
  registry.op("Print")
      .input("input: T")
      .input("data: U")
      .output("output: T")
      .attr("T: type")
      .attr("U: list(type) >= 0")
      .attr("message: string = ''")
      .attr("first_n: int = -1")
      .attr("summarize: int = 3")
      .stateful()
      .shape(identity_shape)
      .cpu<Print>()
      .gradient(print_gradient)
      .doc("Its input; shows data on standard error.");
  registry.op("PrintV2")
      .input("input: string")
      .attr("output_stream: string = 'stderr'")
      .attr("end: string = '\n'")
      .stateful()
      .shape(assert_shape)
      .cpu<PrintV2>()
      .not_differentiable()
      .doc("Writes a string to a stream.");
}

}  // namespace millrace
