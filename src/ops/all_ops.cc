#include "ops/all_ops.h"

#include "ops/families.h"

namespace millrace {

const Registry& all_ops() {
  static const Registry* const registry = [] {
    auto* r = new Registry;  // lives as long as the process: graphs and sessions point into it
    register_concat(*r);
    register_constant(*r);
    register_identity(*r);
    register_shape_ops(*r);
    register_slice(*r);
    register_transpose(*r);
    return r;
  }();
  return *registry;
}

}  // namespace millrace
