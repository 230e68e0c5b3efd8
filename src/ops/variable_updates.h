#pragma once
// What updates of reference and of resource variables share.

#include <mutex>
#include <span>
#include <type_traits>

#include "kernels/parallel.h"
#include "op/kernel.h"

namespace millrace {

// Arithmetic on one element: half and bfloat16 in float, integers wrapping, division by an integer zero gives an error
// before.
template <class T, class = void> struct UpdateType { using type = T; };
template <> struct UpdateType<Half> { using type = float; };
template <> struct UpdateType<BFloat16> { using type = float; };

struct AddUpdate {
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_same_v<T, bool>) return a || b;
    else if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    else
      return static_cast<T>(static_cast<typename UpdateType<T>::type>(a) +
                            static_cast<typename UpdateType<T>::type>(b));
  }
};
struct SubUpdate {
  template <class T> static T apply(T a, T b) {
    if constexpr (std::is_same_v<T, bool>) return a != b;
    else if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
    else
      return static_cast<T>(static_cast<typename UpdateType<T>::type>(a) -
                            static_cast<typename UpdateType<T>::type>(b));
  }
};

template <class T, class Update> void update_elements(std::span<T> out, std::span<const T> value) {
  parallel_for(static_cast<int64_t>(out.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      out[i] = Update::apply(out[i], value[i]);
  });
}

// The variable behind a reference or a resource handle. Looking a handle up costs a hash and a lock; a kernel that sees
// the same handle tensor again finds the variable here. A variable that was destroyed meanwhile is looked up anew.
class VariableInput {
 public:
  absl::StatusOr<std::shared_ptr<VariableResource>> find(KernelContext& ctx, int i) {
    if (ctx.is_ref(i)) return ctx.variable(i);
    const Tensor& handle = ctx.input(i);
    std::lock_guard lock(mutex_);
    if (handle.buffer() != nullptr && handle.buffer() == handle_.buffer()) {
      if (std::shared_ptr<VariableResource> v = variable_.lock()) return v;
    }
    MR_ASSIGN_OR_RETURN(std::shared_ptr<VariableResource> v, ctx.resource<VariableResource>(i));
    handle_ = handle;
    variable_ = v;
    return v;
  }

 private:
  std::mutex mutex_;
  Tensor handle_;  // held, so that its buffer's address stays its own
  std::weak_ptr<VariableResource> variable_;
};

// Of a reference or a resource: the value before it is incremented.
template <class T> class CountUpTo final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(limit_, init.attr<int64_t>("limit"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, input_.find(ctx, 0));
    T before = 0;
    MR_RETURN_IF_ERROR(variable->update(ctx.node().name, [&](Tensor& t) -> absl::Status {
      if (t.dtype() != dtype_of<T> || t.rank() != 0) return invalid_argument("input is not a scalar: ", t.shape());
      T& value = t.unchecked_mutable<T>()[0];
      if (value >= limit_) return out_of_range("Reached limit of ", limit_);
      before = value;
      value = static_cast<T>(value + 1);
      return absl::OkStatus();
    }));
    return ctx.set_scalar<T>(0, before);
  }

 private:
  VariableInput input_;
  int64_t limit_ = 0;
};

}  // namespace millrace
