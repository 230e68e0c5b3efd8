// Rows of a tensor replaced or added to. What TensorFlow does in place, whoever else holds the tensor, happens here
// only where nobody does; the result is the same.

#include <algorithm>

#include "kernels/number.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/elementwise.h"

namespace millrace {
namespace {

enum class Change { kUpdate, kAdd, kSub };

template <class T, Change kChange> T changed(T x, T v) {
  if constexpr (kChange == Change::kUpdate) return v;
  else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return T(static_cast<float>(x) + (kChange == Change::kAdd ? 1 : -1) * static_cast<float>(v));
  else return wrapping(x, v, [](auto a, auto b) { return kChange == Change::kAdd ? a + b : a - b; });
}

absl::Status check_rows(const TensorShape& x, const TensorShape& i, const TensorShape& v) {
  if (i.rank() != 1) return invalid_argument("i must be a vector, got shape ", i);
  if (x.rank() != v.rank() || x.rank() < 1)
    return invalid_argument("x and v shape doesn't match (ranks differ): ", x, " vs. ", v);
  for (int d = 1; d < x.rank(); ++d) {
    if (x.dim(d) != v.dim(d)) return invalid_argument("x and v shape doesn't match at index ", d, ": ", x, " vs. ", v);
  }
  if (i.dim(0) != v.dim(0)) return invalid_argument("i and x shape doesn't match at index 0: ", i, " vs. ", v);
  if (x.dim(0) == 0 && i.dim(0) > 0) return invalid_argument("x has no rows");
  return absl::OkStatus();
}

template <class T, Change kChange> class Inplace final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    MR_RETURN_IF_ERROR(check_rows(shape, ctx.shape(1), ctx.shape(2)));
    MR_ASSIGN_OR_RETURN(const auto rows, ctx.vector<int32_t>(1));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto v, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.forward_or_allocate<T>(0, 0, shape));
    if (out.data() != x.data()) std::ranges::copy(x, out.begin());
    if (out.empty()) return absl::OkStatus();
    const int64_t n = shape.dim(0);
    const size_t width = out.size() / static_cast<size_t>(n);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto to = out.subspan(static_cast<size_t>((rows[i] % n + n) % n) * width, width);
      for (size_t c = 0; c < width; ++c) to[c] = changed<T, kChange>(to[c], v[i * width + c]);
    }
    return absl::OkStatus();
  }
};
template <class T> using InplaceUpdate = Inplace<T, Change::kUpdate>;
template <class T> using InplaceAdd = Inplace<T, Change::kAdd>;
template <class T> using InplaceSub = Inplace<T, Change::kSub>;

}  // namespace

void register_inplace(Registry& registry) {
  const auto start = [&](const char* name, const char* doc) {
    OpBuilder op = registry.op(name);
    op.input("x: T").input("i: int32").input("v: T").output("y: T").attr("T: type").shape(unchanged_shape).doc(doc);
    return op;
  };
  start("InplaceUpdate", "x with rows i replaced by v's.")
      .cpu_for<InplaceUpdate>(NumberTypes())
      .cpu<InplaceUpdate, bool>();
  start("InplaceAdd", "x with v's rows added to rows i.").cpu_for<InplaceAdd>(NumberTypes());
  start("InplaceSub", "x with v's rows subtracted from rows i.").cpu_for<InplaceSub>(NumberTypes());
}

}  // namespace millrace
