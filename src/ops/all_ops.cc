#include "ops/all_ops.h"

#include "ops/families.h"

namespace millrace {

const Registry& all_ops() {
  static const Registry* const registry = [] {
    auto* r = new Registry;  // lives as long as the process: graphs and sessions point into it
    return r;
  }();
  return *registry;
}

}  // namespace millrace
