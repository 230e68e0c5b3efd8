#pragma once
// Values that are computed only where a condition says so.
//
//   Output y = tf::cond(x > 0.f, [&] { return tf::log(x); }, [&] { return tf::zeros_like(x); });

#include <concepts>
#include <functional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "millrace/framework.h"

namespace millrace {

#pragma GCC visibility push(default)

// What a branch returns: tensors, variables or literals, or operations, which are then run where the branch is taken.
class BranchResult {
 public:
  template <class T>
  requires std::convertible_to<const T&, Input> BranchResult(const T& value)
      : values_{Input(value)} {}  // NOLINT: branches return what they like
  BranchResult(const Operation& operation) : operations_{operation}, values_(1) {}  // NOLINT
  template <class T> BranchResult(const std::vector<T>& list) : is_list_(true) {    // NOLINT
    for (const T& element : list) {
      if constexpr (std::is_same_v<T, Operation>) {
        operations_.push_back(element);
        values_.emplace_back();
      } else {
        values_.push_back(Input(element));
      }
    }
  }
  bool is_list() const { return is_list_; }
  // As many of each; where there is an operation, the value is absent.
  const std::vector<Operation>& operations() const { return operations_; }
  const std::vector<Input>& values() const { return values_; }

 private:
  std::vector<Operation> operations_;
  std::vector<Input> values_;
  bool is_list_ = false;
};

struct CondOptions {
  std::string_view name = "cond";
};

namespace internal {
std::vector<Output> build_cond(const Input& pred, const std::function<BranchResult()>& true_fn,
                               const std::function<BranchResult()>& false_fn, const CondOptions& options);
template <class F>
concept ReturnsList = requires(const F& f) {
  typename std::invoke_result_t<const F&>::value_type;
};
}  // namespace internal

// tf.cond: the results of true_fn where `pred`, a bool scalar tensor, is true, else those of false_fn. Both functions
// are called once, here, and build their nodes; only one branch's nodes run in a step. Nodes built before are not part
// of a branch: they run in any case. The branches must return as many values, of the same dtypes; shapes may differ,
// the result's is what they agree on. Where branches return operations, the result is a bool tensor that is there once
// the taken branch's operation is done.
//
// Built as TensorFlow's first form of control flow (Switch and Merge); gradients flow through it.
// Errors: InvalidArgument for a pred that is no bool scalar tensor, branches that disagree or return nothing.
template <class T, class F>
requires(!internal::ReturnsList<T> && !internal::ReturnsList<F>) Output
    cond(const Input& pred, const T& true_fn, const F& false_fn, const CondOptions& options = {}) {
  return internal::build_cond(
      pred, [&] { return BranchResult(true_fn()); }, [&] { return BranchResult(false_fn()); }, options)[0];
}
// The same with lists of values.
template <internal::ReturnsList T, internal::ReturnsList F>
std::vector<Output> cond(const Input& pred, const T& true_fn, const F& false_fn, const CondOptions& options = {}) {
  return internal::build_cond(
      pred, [&] { return BranchResult(true_fn()); }, [&] { return BranchResult(false_fn()); }, options);
}

#pragma GCC visibility pop

}  // namespace millrace
