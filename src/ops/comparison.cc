// Comparisons and logic with broadcasting. None has a gradient.

#include <cmath>
#include <cstring>

#include "op/shape_context.h"
#include "ops/elementwise.h"

namespace millrace {

namespace {

#define MR_COMPARISON(name, symbol)                                           \
  struct name {                                                               \
    template <class T> bool operator()(T x, T y) const { return x symbol y; } \
  };
MR_COMPARISON(EqualTo, ==)
MR_COMPARISON(NotEqualTo, !=)
MR_COMPARISON(LessThan, <)
MR_COMPARISON(LessOrEqual, <=)
MR_COMPARISON(GreaterThan, >)
MR_COMPARISON(GreaterOrEqual, >=)
#undef MR_COMPARISON

struct LogicalNot {
  bool operator()(bool x) const { return !x; }
};
struct And {
  bool operator()(bool x, bool y) const { return x && y; }
};
struct Or {
  bool operator()(bool x, bool y) const { return x || y; }
};

// Equal and NotEqual: with incompatible_shape_error = false, shapes that do not broadcast are one `false` (or `true`).
template <bool negated, class Inner> class Equality final : public Kernel {
 public:
  explicit Equality(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(error_, init.attr<bool>("incompatible_shape_error"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (!error_ && !broadcast(ctx.shape(0), ctx.shape(1)).ok()) return ctx.set_scalar<bool>(0, negated);
    return inner_->compute(ctx);
  }
  bool is_cheap() const override { return true; }

 private:
  std::unique_ptr<Inner> inner_;
  bool error_ = true;
};

template <bool negated> class CompareStrings final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto y, ctx.flat<std::string>(1));
    absl::StatusOr<TensorShape> shape = broadcast(ctx.shape(0), ctx.shape(1));
    if (!shape.ok()) return std::move(shape).status();
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<bool>(0, *shape));
    if (out.empty()) return absl::OkStatus();
    const std::span<const int64_t> operands[] = {ctx.shape(0).dims(), ctx.shape(1).dims()};
    const Broadcast plan(operands, shape->dims());
    const size_t x_step = plan.inner_varies(0), y_step = plan.inner_varies(1);
    plan.for_rows(0, plan.rows(), [&](int64_t row, const int64_t* offsets) {
      for (size_t i = 0; i < static_cast<size_t>(plan.inner()); ++i) {
        const bool equal =
            x[static_cast<size_t>(offsets[0]) + i * x_step] == y[static_cast<size_t>(offsets[1]) + i * y_step];
        out[static_cast<size_t>(row * plan.inner()) + i] = equal != negated;
      }
    });
    return absl::OkStatus();
  }
};

template <bool negated, class Op, class T> std::unique_ptr<Kernel> make_equality() {
  return std::make_unique<Equality<negated, Kernel>>(elementwise_internal::Binary<Op, T>::make());
}
template <bool negated> std::unique_ptr<Kernel> make_string_equality() {
  return std::make_unique<Equality<negated, Kernel>>(std::make_unique<CompareStrings<negated>>());
}
// Quantized types compare by their bits.
class QuantizedEquality final : public Kernel {
 public:
  explicit QuantizedEquality(bool negated) : negated_(negated) {}
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(error_, init.attr<bool>("incompatible_shape_error"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor &x = ctx.input(0), &y = ctx.input(1);
    if (!is_quantized(x.dtype()) || x.dtype() != y.dtype())
      return invalid_argument("'", ctx.node().name, "': quantized inputs expected");
    absl::StatusOr<TensorShape> shape = broadcast(x.shape(), y.shape());
    if (!shape.ok()) return error_ ? std::move(shape).status() : ctx.set_scalar<bool>(0, negated_);
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.allocate_output(0, *shape));
    BinaryOperation op;
    op.in_size = static_cast<int>(dtype_size(x.dtype()));
    op.out_size = 1;
    switch (op.in_size) {
      case 1:
        op.loop = negated_ ? &binary_loop<NotEqualTo, uint8_t, bool> : &binary_loop<EqualTo, uint8_t, bool>;
        break;
      case 2:
        op.loop = negated_ ? &binary_loop<NotEqualTo, uint16_t, bool> : &binary_loop<EqualTo, uint16_t, bool>;
        break;
      default:
        op.loop = negated_ ? &binary_loop<NotEqualTo, uint32_t, bool> : &binary_loop<EqualTo, uint32_t, bool>;
        break;
    }
    if (out->num_elements() > 0)
      binary_broadcast(op, x.raw_data(), x.shape().dims(), y.raw_data(), y.shape().dims(), out->raw_mutable_data(),
                       shape->dims());
    return absl::OkStatus();
  }

 private:
  bool negated_;
  bool error_ = true;
};
template <bool negated> std::unique_ptr<Kernel> make_quantized_equality() {
  return std::make_unique<QuantizedEquality>(negated);
}

absl::Status equality_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool error, c.attr<bool>("incompatible_shape_error"));
  absl::StatusOr<PartialTensorShape> shape = broadcast(c.input(0), c.input(1));
  if (error) return c.set_output(0, std::move(shape));
  // Either the broadcast shape or a scalar: known only where broadcasting is certain.
  if (!shape.ok()) return c.set_output(0, PartialTensorShape::scalar());
  const bool certain = c.input(0).is_fully_defined() && c.input(1).is_fully_defined();
  return c.set_output(0, certain ? *std::move(shape) : PartialTensorShape());
}

template <bool negated, class Op, class... Ts> void equality_kernels(OpBuilder& b, Types<Ts...>) {
  (b.kernel({"CPU", {{"T", dtype_of<Ts>}}, &make_equality<negated, Op, Ts>}), ...);
  b.kernel({"CPU", {{"T", DataType::kString}}, &make_string_equality<negated>});
  for (const DataType q :
       {DataType::kQint8, DataType::kQuint8, DataType::kQint16, DataType::kQuint16, DataType::kQint32})
    b.kernel({"CPU", {{"T", q}}, &make_quantized_equality<negated>});
}

using EqualityTypes = Types<bool, Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                            uint32_t, uint64_t, Complex64, Complex128>;

template <bool negated, class Op> void equality(Registry& r, std::string_view name, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: T")
      .input("y: T")
      .output("z: bool")
      .attr("T: type")
      .attr("incompatible_shape_error: bool = true")
      .commutative();
  b.shape(equality_shape).not_differentiable().doc(doc);
  equality_kernels<negated, Op>(b, EqualityTypes{});
}

template <class Op> void order(Registry& r, std::string_view name, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: T").input("y: T").output("z: bool");
  b.attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}");
  b.shape(broadcast_shape).not_differentiable().doc(doc);
  binary_kernels<Op>(b, RealTypes{});
}

template <class Op> std::unique_ptr<Kernel> make_logical() {
  return make_binary_kernel({&binary_loop<Op, bool, bool>, DataType::kBool, DataType::kBool, 0.1});
}
template <class Op> void logical(Registry& r, std::string_view name, std::string_view doc) {
  OpBuilder b = r.op(name);
  b.input("x: bool")
      .input("y: bool")
      .output("z: bool")
      .commutative()
      .shape(broadcast_shape)
      .not_differentiable()
      .doc(doc);
  b.kernel({"CPU", {}, &make_logical<Op>});
}

template <class T> class ApproximateEqual final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(tolerance_, init.attr<float>("tolerance"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto y, ctx.flat<T>(1));
    if (!(ctx.shape(0) == ctx.shape(1)))
      return invalid_argument("x and y must be of the same shape. x shape: ", ctx.shape(0),
                              ". y shape: ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<bool>(0, ctx.shape(0)));
    for (size_t i = 0; i < out.size(); ++i) out[i] = std::abs(x[i] - y[i]) < static_cast<T>(tolerance_);
    return absl::OkStatus();
  }
  float tolerance_ = 0;
};

}  // namespace

void register_comparison(Registry& r) {
  equality<false, EqualTo>(r, "Equal", "x == y, with broadcasting.");
  equality<true, NotEqualTo>(r, "NotEqual", "x != y, with broadcasting.");
  order<LessThan>(r, "Less", "x < y, with broadcasting.");
  order<LessOrEqual>(r, "LessEqual", "x <= y, with broadcasting.");
  order<GreaterThan>(r, "Greater", "x > y, with broadcasting.");
  order<GreaterOrEqual>(r, "GreaterEqual", "x >= y, with broadcasting.");
  logical<And>(r, "LogicalAnd", "x and y, with broadcasting.");
  logical<Or>(r, "LogicalOr", "x or y, with broadcasting.");
  r.op("LogicalNot")
      .input("x: bool")
      .output("y: bool")
      .shape(unchanged_shape)
      .not_differentiable()
      .doc("not x.")
      .kernel({"CPU", {}, [] {
                 return make_unary_kernel({&unary_loop<LogicalNot, bool, bool>, DataType::kBool, DataType::kBool, 0.1});
               }});
  r.op("ApproximateEqual")
      .input("x: T")
      .input("y: T")
      .output("z: bool")
      .attr(
          "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
          "quint16, uint16, complex128, half, uint32, uint64}")
      .attr("tolerance: float = 1e-05")
      .commutative()
      .shape(merged_shape)
      .not_differentiable()
      .cpu<ApproximateEqual, float, double>()
      .doc("|x - y| < tolerance.");
}

}  // namespace millrace
