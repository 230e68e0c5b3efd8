#pragma once
// The one registry of the program, with every family of ops in it.

#include "op/registry.h"

namespace millrace {

// Built on first use; thread-safe.
const Registry& all_ops();

// For a registry with ops of its own beside them.
void register_all_ops(Registry& registry);

}  // namespace millrace
