#pragma once
// The variable that counts training steps, in the collection GraphKeys::GLOBAL_STEP.

#include <cstdint>
#include <optional>

#include "millrace/variables.h"

#pragma GCC visibility push(default)

namespace millrace {
class Session;
}

namespace millrace::train {

// Without a graph: the default one. create_ raises InvalidArgumentError (TF1's ValueError) if there is one already.
Variable get_or_create_global_step();
Variable create_global_step();
// Absent if there is none, and, with an error in the log, if several are collected. InvalidArgumentError (TF1's
// TypeError) if what is collected is not an integer scalar.
Variable get_global_step();
void assert_global_step(const Variable& global_step);
// Its value in a session.
int64_t global_step(Session& session, const Variable& global_step);

// A read of the global step plus nothing, that works before the variable is initialized: what hooks fetch. Absent if
// the graph has none.
Output get_global_step_read();
Output get_or_create_global_step_read();

}  // namespace millrace::train

#pragma GCC visibility pop
