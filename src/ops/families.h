#pragma once
// One register function per family of ops, each defined in the file of its name. A new family adds a line here and a line to
// all_ops.cc and CMakeLists.txt.

namespace millrace {

class Registry;

void register_concat(Registry& registry);
void register_constant(Registry& registry);
void register_identity(Registry& registry);
void register_shape_ops(Registry& registry);
void register_slice(Registry& registry);
void register_transpose(Registry& registry);

}  // namespace millrace
