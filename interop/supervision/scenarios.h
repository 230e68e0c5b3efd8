#pragma once
// The programs whose records are compared, call by call those of supervision_tf.py.

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::records {

std::vector<std::pair<std::string, std::function<void()>>> scenarios();

// Those that are refused: the error's class, and which words stand in its message.
void bad_input();

}  // namespace millrace::records
