// Ops that hand on what they are given.

#include <cmath>

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

class Identity final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.num_inputs() != ctx.num_outputs())
      return internal_error("Identity: ", ctx.num_inputs(), " inputs, ", ctx.num_outputs(), " outputs");
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      if (!ctx.input(i).has_value()) {
        return failed_precondition("'", ctx.node().name, "': attempting to use uninitialized value of input ", i);
      }
      MR_RETURN_IF_ERROR(ctx.set_output(i, ctx.input(i)));
    }
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }
};

class RefIdentity final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override { return ctx.forward_ref(0, 0); }
  bool is_cheap() const override { return true; }
};

class DeepCopy final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(Tensor copy, deep_copy(ctx.input(0)));
    return ctx.set_output(0, std::move(copy));
  }
};

absl::Status prevent_gradient_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string message, g.attr<std::string>("message"));
  return not_found("Gradient explicitly disabled. Reason: ", message);
}

struct Finding {
  bool nan = false, positive_inf = false, negative_inf = false;
  bool any() const { return nan || positive_inf || negative_inf; }
};

template <class T> Finding look_for_trouble(std::span<const T> values) {
  Finding found;
  for (const T value : values) {
    const auto v = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(value);
    if (std::isfinite(v)) [[likely]]
      continue;
    found.nan |= std::isnan(v);
    found.positive_inf |= std::isinf(v) && v > 0;
    found.negative_inf |= std::isinf(v) && v < 0;
  }
  return found;
}

// Passes its input on, or fails with what it found. The second version tells the signs of infinities apart.
template <class T, bool kSigns> class CheckNumericsKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(message_, init.attr<std::string>("message"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> values, ctx.flat<T>(0));
    const Finding found = look_for_trouble(values);
    if (found.any()) [[unlikely]]
      return invalid_argument(message_, " : Tensor had ", describe(found), " values");
    return ctx.set_output(0, ctx.input(0));
  }

 private:
  static std::string describe(const Finding& found) {
    std::vector<std::string_view> parts;
    if (kSigns) {
      if (found.negative_inf) parts.push_back("-Inf");
      if (found.positive_inf) parts.push_back("+Inf");
    } else if (found.negative_inf || found.positive_inf) {
      parts.push_back("Inf");
    }
    if (found.nan) parts.push_back("NaN");
    std::string text(parts[0]);
    for (size_t i = 1; i < parts.size(); ++i)
      str_append(&text, i + 1 < parts.size() ? ", " : parts.size() > 2 ? ", and " : " and ", parts[i]);
    return text;
  }
  std::string message_;
};

template <class T> using CheckNumerics = CheckNumericsKernel<T, false>;
template <class T> using CheckNumericsV2 = CheckNumericsKernel<T, true>;

// The message attribute as Python's repr of bytes shows it.
absl::Status check_numerics_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string message, g.attr<std::string>("message"));
  const std::string text =
      str_cat("Not a number (NaN) or infinity (Inf) values detected in gradient. b'", message, "'");
  g.set_dx(0, g.op(g.node().op, {g.dy(0)}, {{"message", text}}));
  return absl::OkStatus();
}

}  // namespace

void register_identity(Registry& registry) {
  registry.op("Identity")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .shape(identity_shape)
      .cpu<Identity>()
      .gradient(identity_gradient)
      .doc("Its input.");
  registry.op("IdentityN")
      .input("input: T")
      .output("output: T")
      .attr("T: list(type) >= 1")
      .shape(identity_shape)
      .cpu<Identity>()
      .gradient(identity_gradient)
      .doc("Its inputs.");
  registry.op("StopGradient")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .shape(identity_shape)
      .cpu<Identity>()
      .not_differentiable()
      .doc("Its input; gradients end here.");
  registry.op("PreventGradient")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .attr("message: string = ''")
      .shape(identity_shape)
      .cpu<Identity>()
      .gradient(prevent_gradient_gradient)
      .doc("Its input; asking for a gradient through it is an error.");
  registry.op("Snapshot")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .shape(identity_shape)
      .cpu<Identity>()
      .doc("A copy of its input.");
  registry.op("GuaranteeConst")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .stateful()
      .shape(identity_shape)
      .cpu<Identity>()
      .doc("Its input, which the caller promises not to change between runs.");
  registry.op("DeepCopy")
      .input("x: T")
      .output("y: T")
      .attr("T: type")
      .stateful()
      .shape(unchanged_shape)
      .cpu<DeepCopy>()
      .doc("A copy of x in memory of its own.");
  registry.op("RefIdentity")
      .input("input: Ref(T)")
      .output("output: Ref(T)")
      .attr("T: type")
      .allows_uninitialized_input()
      .shape(unchanged_shape)
      .cpu<RefIdentity>()
      .gradient(identity_gradient)
      .doc("The reference it is given.");
  registry.op("CheckNumerics")
      .input("tensor: T")
      .output("output: T")
      .attr("T: {bfloat16, half, float, double}")
      .attr("message: string")
      .stateful()
      .shape(unchanged_shape)
      .cpu_for<CheckNumerics>(FloatTypes())
      .gradient(check_numerics_gradient)
      .doc("Its input, an error if an element is NaN or infinite.");
  registry.op("CheckNumericsV2")
      .input("tensor: T")
      .output("output: T")
      .attr("T: {bfloat16, half, float, double}")
      .attr("message: string")
      .stateful()
      .shape(unchanged_shape)
      .cpu_for<CheckNumericsV2>(FloatTypes())
      .gradient(check_numerics_gradient)
      .doc("Its input, an error that tells signs of infinities apart if an element is NaN or infinite.");
}

}  // namespace millrace
