#pragma once
// The `training` argument of layers: a bool, or a bool tensor that chooses in each step.

#include <optional>

#include "api/op_builder.h"
#include "graph/constant_value.h"
#include "millrace/control_flow.h"
#include "tensor/tensor.h"

namespace millrace {

class Training {
 public:
  // InvalidArgument, naming the layer, for anything else.
  Training(std::string_view layer, const Input& training) {
    if (training.is_literal()) {
      if (training.literal().dtype() == bool_) known_ = training.literal().scalar<bool>();
    } else if (const Output given = training.output(); given && base_dtype(given.dtype()) == bool_) {
      pred_ = given;
      if (const std::shared_ptr<const Tensor> value = static_value(given); value && value->num_elements() == 1)
        known_ = value->scalar<bool>();
    }
    if (!known_ && !pred_) raise(invalid_argument(layer, ": training must be a bool or a bool tensor"));
  }

  // Calls on() or off(); where a tensor chooses, both of them, as branches of a tf.cond.
  template <class On, class Off> auto choose(const On& on, const Off& off) const {
    if (!known_) return cond(pred_, on, off);
    return *known_ ? on() : off();
  }
  bool never() const { return known_ == false; }

 private:
  std::optional<bool> known_;
  Output pred_;
};

}  // namespace millrace
