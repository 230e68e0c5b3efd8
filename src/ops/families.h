#pragma once
// One register function per family of ops, each defined in the file of its name. A new family adds a line here and a line to
// all_ops.cc and CMakeLists.txt.

namespace millrace {

class Registry;

}  // namespace millrace
