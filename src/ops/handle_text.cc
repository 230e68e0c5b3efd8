#include "ops/handle_text.h"

#include "base/wire.h"

namespace millrace {

std::string handle_to_text(const ResourceHandle& handle) {
  std::string text;
  append_bytes_field(text, 1, handle.device);
  append_bytes_field(text, 2, handle.container);
  append_bytes_field(text, 3, handle.name);
  append_varint_field(text, 4, handle.hash_code);
  append_bytes_field(text, 5, handle.type_name);
  return text;
}

absl::StatusOr<ResourceHandle> handle_from_text(std::string_view text) {
  ResourceHandle handle;
  WireReader r(text);
  while (r.next()) {
    if (r.is(1, WireType::kBytes)) handle.device = r.bytes();
    else if (r.is(2, WireType::kBytes)) handle.container = r.bytes();
    else if (r.is(3, WireType::kBytes)) handle.name = r.bytes();
    else if (r.is(4, WireType::kVarint)) handle.hash_code = r.varint();
    else if (r.is(5, WireType::kBytes)) handle.type_name = r.bytes();
    else r.skip();
  }
  if (!r.ok() || handle.name.empty())
    return invalid_argument("Could not parse string_handle as a valid ResourceHandle");
  return handle;
}

}  // namespace millrace
