#include "ops/all_ops.h"

namespace millrace {

#define MILLRACE_FAMILY(name) void register_##name(Registry& registry);
#include "ops/families.inc"
#undef MILLRACE_FAMILY

void register_all_ops(Registry& registry) {
#define MILLRACE_FAMILY(name) register_##name(registry);
#include "ops/families.inc"
#undef MILLRACE_FAMILY
}

const Registry& all_ops() {
  static const Registry* const registry = [] {
    auto* r = new Registry;  // lives as long as the process: graphs and sessions point into it
    register_all_ops(*r);
    return r;
  }();
  return *registry;
}

}  // namespace millrace
