#pragma once
// From a status inside the library to an exception of the API. Only src/api and the throwing constructors of tensors
// and shapes call these; no exception crosses a thread or a kernel.

#include "base/status.h"
#include "millrace/errors.h"

namespace millrace {

// Node name, op type, device and source line travel with a status as payloads.
absl::Status with_where(absl::Status status, const errors::Where& where);
errors::Where where_of(const absl::Status& status);

[[noreturn]] void raise(const absl::Status& status);
inline void raise_if_error(const absl::Status& status) {
  if (!status.ok()) [[unlikely]]
    raise(status);
}
template <class T> T value_or_raise(absl::StatusOr<T> value) {
  if (!value.ok()) [[unlikely]]
    raise(value.status());
  return *std::move(value);
}

// The status of an exception that user code let out: OpError keeps its class, anything else is Unknown.
absl::Status status_of(const std::exception& error);

}  // namespace millrace
