#pragma once

#include <string_view>

#include "millrace/graph.h"

namespace millrace {

// A variable's initial value may be made of other variables, which are not initialized in any order: here each of them
// is replaced by its initialized_value(), and the operations in between are made again. The value itself where it
// depends on no variable. `scope` is the new variable's name, "w/", which the copies carry: "mul_w".
Output safe_initial_value(const Output& initial_value, std::string_view scope);

}  // namespace millrace
