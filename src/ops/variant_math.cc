#include "ops/variant_math.h"

#include <algorithm>

#include "kernels/elements.h"
#include "kernels/elementwise.h"
#include "ops/elementwise.h"
#include "ops/ragged_variant.h"
#include "ops/tensor_list.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

constexpr int kDeepest = 64;  // lists within lists; a graph's loop could nest them without end

absl::StatusOr<const TensorList*> list_in(const Variant& variant, int depth) {
  if (depth >= kDeepest) return invalid_argument("Lists are nested more than ", kDeepest, " deep");
  const TensorList* list = variant.get<TensorList>();
  if (list == nullptr) return invalid_argument("No list of tensors, but a variant of type '", variant.type_name(), "'");
  return list;
}

absl::StatusOr<Tensor> zeros_like_tensor(const Tensor& like, int depth);

absl::StatusOr<Variant> zeros_like_variant(const Variant& like, int depth) {
  if (const auto* ragged = like.get<RaggedTensorValue>()) {
    RaggedTensorValue zeros{ragged->splits, {}};
    MR_ASSIGN_OR_RETURN(zeros.values, zeros_like_tensor(ragged->values, depth + 1));
    return Variant::make<RaggedTensorValue>(std::move(zeros));
  }
  MR_ASSIGN_OR_RETURN(const TensorList* list, list_in(like, depth));
  TensorList zeros = *list;
  for (auto& [index, element] : zeros.elements) {
    MR_ASSIGN_OR_RETURN(element, zeros_like_tensor(element, depth + 1));
  }
  return Variant::make<TensorList>(std::move(zeros));
}

absl::StatusOr<Tensor> zeros_like_tensor(const Tensor& like, int depth) {
  if (like.dtype() != DataType::kVariant) return make_zeroed_tensor(like.dtype(), like.shape());
  MR_ASSIGN_OR_RETURN(Tensor zeros, make_tensor(like.dtype(), like.shape()));
  const auto from = like.unchecked<Variant>();
  const auto to = zeros.unchecked_mutable<Variant>();
  for (size_t i = 0; i < from.size(); ++i) {
    MR_ASSIGN_OR_RETURN(to[i], zeros_like_variant(from[i], depth));
  }
  return zeros;
}

template <class T> T plus(T a, T b) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return T(static_cast<float>(a) + static_cast<float>(b));
  else return wrapping(a, b, [](auto x, auto y) { return x + y; });
}

absl::StatusOr<Variant> sum_of_variants(const Variant& a, const Variant& b, int depth);

// Adds b to `sum`, for one of Ts.
template <class... Ts> bool add_numbers(Types<Ts...>, Tensor& sum, const Tensor& b) {
  const auto add = [&]<class T>(std::type_identity<T>) {
    if (sum.dtype() != dtype_of<T>) return false;
    const auto to = sum.unchecked_mutable<T>();
    const auto from = b.unchecked<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = plus<T>(to[i], from[i]);
    return true;
  };
  return (add(std::type_identity<Ts>()) || ...);
}

absl::StatusOr<Tensor> sum_of_tensors(const Tensor& a, const Tensor& b, int depth) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape())
    return invalid_argument("Trying to add two tensors with incompatible element shapes or types. One is ",
                            dtype_name(a.dtype()), a.shape(), " and the other is ", dtype_name(b.dtype()), b.shape());
  if (a.dtype() == DataType::kVariant) {
    MR_ASSIGN_OR_RETURN(Tensor sum, make_tensor(a.dtype(), a.shape()));
    const auto to = sum.unchecked_mutable<Variant>();
    for (size_t i = 0; i < to.size(); ++i) {
      MR_ASSIGN_OR_RETURN(to[i], sum_of_variants(a.unchecked<Variant>()[i], b.unchecked<Variant>()[i], depth));
    }
    return sum;
  }
  MR_ASSIGN_OR_RETURN(Tensor sum, deep_copy(a));
  if (!add_numbers(NumberTypes(), sum, b))
    return invalid_argument("Trying to add unsupported dtype ", dtype_name(a.dtype()));
  return sum;
}

// Of ragged tensors of the same rows, which the first says.
absl::StatusOr<Variant> sum_of_ragged(const RaggedTensorValue& a, const RaggedTensorValue& b, int depth) {
  if (depth >= kDeepest) return invalid_argument("Variants are nested more than ", kDeepest, " deep");
  if (!std::ranges::equal(a.splits, b.splits, bitwise_equal))
    return invalid_argument("Can't add RaggedTensorVariants with different row_splits.");
  RaggedTensorValue sum{a.splits, {}};
  MR_ASSIGN_OR_RETURN(sum.values, sum_of_tensors(a.values, b.values, depth + 1));
  return Variant::make<RaggedTensorValue>(std::move(sum));
}

absl::StatusOr<Variant> sum_of_variants(const Variant& a, const Variant& b, int depth) {
  const auto *ragged = a.get<RaggedTensorValue>(), *other_ragged = b.get<RaggedTensorValue>();
  if (ragged != nullptr && other_ragged != nullptr) return sum_of_ragged(*ragged, *other_ragged, depth);
  MR_ASSIGN_OR_RETURN(const TensorList* one, list_in(a, depth));
  MR_ASSIGN_OR_RETURN(const TensorList* other, list_in(b, depth));
  if (one->dtype != other->dtype)
    return invalid_argument("Trying to add two lists of tensors of different dtypes. One is ", dtype_name(one->dtype),
                            " and the other is ", dtype_name(other->dtype));
  if (one->size != other->size)
    return invalid_argument("Trying to add two lists of tensors with different lengths. One is ", one->size,
                            " and the other is ", other->size);
  TensorList sum = *one;
  absl::StatusOr<PartialTensorShape> shape = merge(one->element_shape, other->element_shape);
  if (!shape.ok())
    return invalid_argument("Trying to add two lists of tensors with incompatible element shapes. One is ",
                            one->element_shape, " and the other is ", other->element_shape);
  sum.element_shape = *shape;
  for (const auto& [index, element] : other->elements) {
    Tensor& to = sum.elements[index];
    if (!to.has_value()) {
      to = element;  // what is not set counts as zero
    } else {
      MR_ASSIGN_OR_RETURN(to, sum_of_tensors(to, element, depth + 1));
    }
  }
  return Variant::make<TensorList>(std::move(sum));
}

class VariantSum final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    Tensor sum = ctx.input(0);
    if (sum.dtype() != DataType::kVariant) return invalid_argument("AddN: variants expected");
    for (int i = 1; i < ctx.num_inputs(); ++i) {
      MR_ASSIGN_OR_RETURN(sum, sum_of_tensors(sum, ctx.input(i), 0));
    }
    return ctx.set_output(0, std::move(sum));
  }
};

}  // namespace

absl::StatusOr<Tensor> zeros_like_variants(const Tensor& like) { return zeros_like_tensor(like, 0); }

std::unique_ptr<Kernel> make_variant_sum() { return std::make_unique<VariantSum>(); }

}  // namespace millrace
