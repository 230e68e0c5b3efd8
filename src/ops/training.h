#pragma once
// What the ops that apply gradients share: a table says their inputs, a rule of kernels/optimizer.h their arithmetic;
// from both come the op's definition, shape function and kernels in its forms: dense and sparse, on references and on
// resources.

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/optimizer.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/variable_updates.h"

namespace millrace {

// The inputs of an op that applies gradients, in order: variables, then numbers and the gradient. Sparse forms take the
// indices after the gradient.
struct ApplyForm {
  std::string op;                   // "ApplyMomentum"; sparse and resource forms are named after it
  std::vector<std::string> slots;   // "var", "accum"
  std::vector<std::string> inputs;  // "lr", "grad", "momentum"
  std::string gradient = "grad";    // which of `inputs` is the gradient
  std::string flag;                 // a further bool attribute, with its default: "use_nesterov: bool = false"
  std::string doc;
};

// The numbers an op was given, and its flag.
template <class S> struct Hyperparameters {
  std::array<S, 8> values{};  // in the order of ApplyForm::inputs, without the gradient
  bool flag = false;
  S operator[](size_t i) const { return values[i]; }
};

namespace apply_internal {

// The places of an op's inputs.
struct Places {
  int slots = 0;  // inputs [0, slots)
  int gradient = 0;
  int indices = -1;  // -1 for dense forms
  int count = 0;
  std::vector<int> numbers;  // of ApplyForm::inputs without the gradient
};
Places places_of(const ApplyForm& form, bool sparse);

absl::Status check_dense(KernelContext& ctx, const Places& p, const std::vector<std::string>& slot_names,
                         const Tensor* const* slots);
// Gives the checked row numbers.
absl::StatusOr<std::vector<int64_t>> check_sparse(KernelContext& ctx, const Places& p,
                                                  const std::vector<std::string>& slot_names,
                                                  const Tensor* const* slots);
absl::Status shape_of_form(ShapeContext& c, const Places& p);

// Registers the op's signature in one form.
OpBuilder declare(Registry& registry, const ApplyForm& form, bool sparse, bool resource);

}  // namespace apply_internal

// `Rule` gives: static ApplyForm form(); template <class S> static auto make(const Hyperparameters<S>&), a rule.
template <class T, class Rule, bool kSparse> class ApplyKernel final : public Kernel {
  using S = ComputeType<T>;
  using Sweep = decltype(Rule::template make<S>(std::declval<const Hyperparameters<S>&>()));
  static constexpr size_t kSlots = Sweep::kSlots;

 public:
  absl::Status init(KernelInit& init) override {
    form_ = Rule::form();
    places_ = apply_internal::places_of(form_, kSparse);
    if (!form_.flag.empty()) {
      MR_ASSIGN_OR_RETURN(flag_, init.attr<bool>(form_.flag.substr(0, form_.flag.find(':'))));
    }
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Hyperparameters<S> numbers, read_numbers(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<const T> gradient, ctx.flat<T>(places_.gradient));
    std::array<std::shared_ptr<VariableResource>, kSlots> variables;
    std::vector<VariableResource*> to_lock;
    for (size_t k = 0; k < kSlots; ++k) {
      MR_ASSIGN_OR_RETURN(variables[k], inputs_[k].find(ctx, static_cast<int>(k)));
      if (variables[k]->dtype() != dtype_of<T>) {
        return invalid_argument(form_.slots[k], " holds ", dtype_name(variables[k]->dtype()), ", not ",
                                dtype_name(dtype_of<T>));
      }
      to_lock.push_back(variables[k].get());
    }
    {
      VariableLock lock(std::move(to_lock));
      const Tensor* values[kSlots];
      for (size_t k = 0; k < kSlots; ++k) {
        values[k] = &lock.value(variables[k].get());
        if (!values[k]->has_value()) {
          return failed_precondition("Attempting to use uninitialized variables: ", form_.slots[k]);
        }
      }
      std::vector<int64_t> rows;
      if constexpr (kSparse) {
        MR_ASSIGN_OR_RETURN(rows, apply_internal::check_sparse(ctx, places_, form_.slots, values));
      } else {
        MR_RETURN_IF_ERROR(apply_internal::check_dense(ctx, places_, form_.slots, values));
      }
      std::array<T*, kSlots> slots;
      for (size_t k = 0; k < kSlots; ++k) {
        MR_ASSIGN_OR_RETURN(Tensor * t, lock.writable(variables[k].get(), form_.slots[k]));
        slots[k] = t->unchecked_mutable<T>().data();
      }
      const Sweep rule = Rule::template make<S>(numbers);
      if constexpr (kSparse) {
        if (rows.empty()) {
          // Nothing to change.
        } else {
          const auto row = static_cast<int64_t>(gradient.size() / rows.size());
          for (size_t i = 0; i < rows.size(); ++i) {
            std::array<T*, kSlots> at = slots;
            for (T*& p : at) p += rows[i] * row;
            sweep_serial(rule, at, gradient.data() + static_cast<int64_t>(i) * row, row);
          }
        }
      } else {
        sweep(rule, slots, gradient.data(), static_cast<int64_t>(gradient.size()));
      }
    }
    return ctx.num_outputs() > 0 ? ctx.forward_ref(0, 0) : absl::OkStatus();
  }

 private:
  absl::StatusOr<Hyperparameters<S>> read_numbers(KernelContext& ctx) {
    Hyperparameters<S> h{.flag = flag_};
    for (size_t i = 0; i < places_.numbers.size(); ++i) {
      const int input = places_.numbers[i];
      if (ctx.shape(input).rank() != 0)
        return invalid_argument(name_of_number(i), " is not a scalar: ", ctx.shape(input));
      if (ctx.input(input).dtype() == DataType::kInt64) {  // global_step
        MR_ASSIGN_OR_RETURN(const int64_t step, ctx.scalar<int64_t>(input));
        h.values[i] = static_cast<S>(static_cast<float>(step));
      } else {
        MR_ASSIGN_OR_RETURN(const T value, ctx.scalar<T>(input));
        h.values[i] = static_cast<S>(value);
      }
    }
    return h;
  }

  std::string name_of_number(size_t i) const {
    for (const std::string& name : form_.inputs) {
      if (name != form_.gradient && i-- == 0) return name;
    }
    return "input";
  }

  ApplyForm form_;
  apply_internal::Places places_;
  std::array<VariableInput, kSlots> inputs_;
  bool flag_ = false;
};

template <class Rule, bool kSparse> absl::Status apply_shape(ShapeContext& c) {
  static const apply_internal::Places places = apply_internal::places_of(Rule::form(), kSparse);
  return apply_internal::shape_of_form(c, places);
}

// Registers the rule's op for element types Ts, on references and on resources.
template <class Rule, bool kSparse, class... Ts>
void register_apply(Registry& registry, Types<Ts...>, bool on_references = true) {
  for (const bool resource : {false, true}) {
    if (!resource && !on_references) continue;
    OpBuilder op = apply_internal::declare(registry, Rule::form(), kSparse, resource);
    op.shape(apply_shape<Rule, kSparse>).not_differentiable();
    (op.kernel(
         {"CPU", {{"T", dtype_of<Ts>}}, [] { return std::unique_ptr<Kernel>(new ApplyKernel<Ts, Rule, kSparse>); }}),
     ...);
  }
}

}  // namespace millrace
