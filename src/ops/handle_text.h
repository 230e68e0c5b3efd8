#pragma once
// Resource handles as text: a serialized tensorflow.ResourceHandleProto, which steps can feed to name an iterator.

#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/handle.h"

namespace millrace {

std::string handle_to_text(const ResourceHandle& handle);
// InvalidArgument where the text is no such message. A handle is only a name: nothing is looked up here.
absl::StatusOr<ResourceHandle> handle_from_text(std::string_view text);

}  // namespace millrace
