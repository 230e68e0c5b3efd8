// Ops that apply gradients to variables: gradient descent, momentum and Adam, and what all such ops share.

#include "ops/training.h"

namespace millrace {
namespace apply_internal {

Places places_of(const ApplyForm& form, bool sparse) {
  Places p;
  p.slots = static_cast<int>(form.slots.size());
  int at = p.slots;
  for (const std::string& name : form.inputs) {
    if (name == form.gradient) {
      p.gradient = at++;
      if (sparse) p.indices = at++;
    } else {
      p.numbers.push_back(at++);
    }
  }
  p.count = at;
  return p;
}

namespace {

absl::Status check_slots(const std::vector<std::string>& names, const Tensor* const* slots,
                         std::string_view separator) {
  for (size_t k = 1; k < names.size(); ++k) {
    if (!(slots[k]->shape() == slots[0]->shape())) {
      return invalid_argument("var and ", names[k], " do not have the same shape", separator, slots[0]->shape(), " ",
                              slots[k]->shape());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status check_dense(KernelContext& ctx, const Places& p, const std::vector<std::string>& slot_names,
                         const Tensor* const* slots) {
  MR_RETURN_IF_ERROR(check_slots(slot_names, slots, ""));
  if (!(slots[0]->shape() == ctx.shape(p.gradient))) {
    return invalid_argument("var and grad do not have the same shape", slots[0]->shape(), " ", ctx.shape(p.gradient));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> check_sparse(KernelContext& ctx, const Places& p,
                                                  const std::vector<std::string>& slot_names,
                                                  const Tensor* const* slots) {
  MR_RETURN_IF_ERROR(check_slots(slot_names, slots, ""));
  const TensorShape &var = slots[0]->shape(), &grad = ctx.shape(p.gradient), &indices = ctx.shape(p.indices);
  if (var.rank() < 1) return invalid_argument("var must be at least 1 dimensional");
  if (indices.rank() != 1) return invalid_argument("indices must be one-dimensional");
  if (grad.rank() != var.rank())
    return invalid_argument("var and grad must have the same number of dimensions: ", var, " ", grad);
  for (int d = 1; d < var.rank(); ++d) {
    if (var.dim(d) != grad.dim(d)) return invalid_argument("var and grad must match in dimension ", d);
  }
  if (grad.dim(0) != indices.dim(0))
    return invalid_argument("grad must be the same size as indices in the first dimension.");
  MR_ASSIGN_OR_RETURN(std::vector<int64_t> rows, ctx.int_values(p.indices));
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0 || rows[i] >= var.dim(0)) {
      return invalid_argument("Index ", rows[i], " at offset ", i, " in indices is out of range");
    }
  }
  return rows;
}

absl::Status shape_of_form(ShapeContext& c, const Places& p) {
  const auto shape_of_slot = [&](int k) -> PartialTensorShape {
    if (c.input_type(k) != DataType::kResource) return c.input(k);
    return c.handle(k).empty() ? PartialTensorShape() : c.handle(k)[0].shape;
  };
  PartialTensorShape var = shape_of_slot(0);
  for (int k = 1; k < p.slots; ++k) {
    absl::StatusOr<PartialTensorShape> both = merge(var, shape_of_slot(k));
    if (!both.ok())
      return invalid_argument("var and input ", k, " do not have the same shape", var, " ", shape_of_slot(k));
    var = *both;
  }
  for (int i = p.slots; i < p.count; ++i) {
    if (i == p.gradient || i == p.indices) continue;
    if (c.input(i).has_rank() && c.input(i).rank() != 0)
      return invalid_argument("input ", i, " is not a scalar: ", c.input(i));
  }
  const PartialTensorShape& grad = c.input(p.gradient);
  if (p.indices < 0) {
    absl::StatusOr<PartialTensorShape> both = merge(var, grad);
    if (!both.ok()) return invalid_argument("var and grad do not have the same shape", var, " ", grad);
    var = *both;
  } else {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(p.indices, 1));
    if (grad.has_rank() && grad.rank() > 0 && indices.has_rank() && grad.dim(0) >= 0 && indices.dim(0) >= 0 &&
        grad.dim(0) != indices.dim(0)) {
      return invalid_argument("grad must be the same size as indices in the first dimension.");
    }
  }
  return c.num_outputs() > 0 ? c.set_output(0, var) : absl::OkStatus();
}

OpBuilder declare(Registry& registry, const ApplyForm& form, bool sparse, bool resource) {
  OpBuilder op = registry.op((resource ? "Resource" : "") + std::string(sparse ? "Sparse" : "") + form.op);
  for (const std::string& slot : form.slots) op.input(slot + (resource ? ": resource" : ": Ref(T)"));
  for (const std::string& name : form.inputs) {
    const bool is_gradient = name == form.gradient;
    op.input((is_gradient && sparse ? std::string("grad") : name) + (name == "global_step" ? ": int64" : ": T"));
    if (is_gradient && sparse) op.input("indices: Tindices");
  }
  if (!resource) op.output("out: Ref(T)");
  op.attr(
      "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
      "quint16, uint16, "
      "complex128, half, uint32, uint64}");
  if (sparse) op.attr("Tindices: {int32, int64}");
  op.attr("use_locking: bool = false");
  if (!form.flag.empty()) op.attr(form.flag);
  if (resource) op.stateful();
  op.doc(form.doc + (sparse ? " Of the rows that indices name." : ""));
  return op;
}

}  // namespace apply_internal

namespace {

struct GradientDescentOp {
  static ApplyForm form() {
    return {"ApplyGradientDescent", {"var"}, {"alpha", "delta"}, "delta", "", "var -= alpha * delta."};
  }
  template <class S> static GradientDescent<S> make(const Hyperparameters<S>& h) { return {h[0]}; }
};

struct MomentumOp {
  static ApplyForm form() {
    return {"ApplyMomentum",
            {"var", "accum"},
            {"lr", "grad", "momentum"},
            "grad",
            "use_nesterov: bool = false",
            "accum = accum * momentum + grad; var -= lr * accum, or with Nesterov's look ahead."};
  }
  template <class S> static Momentum<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h.flag}; }
};

struct KerasMomentumOp {
  static ApplyForm form() {
    return {"ApplyKerasMomentum",
            {"var", "accum"},
            {"lr", "grad", "momentum"},
            "grad",
            "use_nesterov: bool = false",
            "accum = accum * momentum - lr * grad; var += accum, or with Nesterov's look ahead."};
  }
  template <class S> static KerasMomentum<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h.flag}; }
};

struct AdamOp {
  static ApplyForm form() {
    return {"ApplyAdam",
            {"var", "m", "v"},
            {"beta1_power", "beta2_power", "lr", "beta1", "beta2", "epsilon", "grad"},
            "grad",
            "use_nesterov: bool = false",
            "The Adam algorithm (https://arxiv.org/abs/1412.6980)."};
  }
  template <class S> static Adam<S> make(const Hyperparameters<S>& h) {
    return {h[2] * std::sqrt(S(1) - h[1]) / (S(1) - h[0]), h[3], h[4], h[5], h.flag};
  }
};

}  // namespace

void register_training(Registry& registry) {
  using AllTypes = Types<Half, BFloat16, float, double, Complex64, Complex128>;
  register_apply<GradientDescentOp, false>(registry, AllTypes());
  register_apply<MomentumOp, false>(registry, AllTypes());
  register_apply<MomentumOp, true>(registry, AllTypes());
  register_apply<KerasMomentumOp, false>(registry, AllTypes(), /*on_references=*/false);
  register_apply<KerasMomentumOp, true>(registry, AllTypes(), /*on_references=*/false);
  register_apply<AdamOp, false>(registry, AllTypes());
}

}  // namespace millrace
