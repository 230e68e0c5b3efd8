#pragma once

namespace millrace {

// Reads tests/golden, once. mutated_trial does it by itself; a process that forks does it before.
void load_seeds();

}  // namespace millrace
