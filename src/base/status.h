#pragma once
// Status helpers: short constructors for absl::Status and the project's two error macros. Debian's abseil has neither.
//
//   MR_RETURN_IF_ERROR(check_shape(x));
//   MR_ASSIGN_OR_RETURN(const int64_t axis, ctx.scalar<int64_t>(1));
//   return invalid_argument("Softmax: logits must have rank >= 1, got ", shape);

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/strings.h"

namespace millrace {

#define MR_STATUS_MAKER(name, code)                                               \
  template <class... Args> [[nodiscard]] absl::Status name(const Args&... args) { \
    return absl::Status(absl::StatusCode::code, str_cat(args...));                \
  }
MR_STATUS_MAKER(cancelled, kCancelled)
MR_STATUS_MAKER(unknown_error, kUnknown)
MR_STATUS_MAKER(invalid_argument, kInvalidArgument)
MR_STATUS_MAKER(deadline_exceeded, kDeadlineExceeded)
MR_STATUS_MAKER(not_found, kNotFound)
MR_STATUS_MAKER(already_exists, kAlreadyExists)
MR_STATUS_MAKER(permission_denied, kPermissionDenied)
MR_STATUS_MAKER(resource_exhausted, kResourceExhausted)
MR_STATUS_MAKER(failed_precondition, kFailedPrecondition)
MR_STATUS_MAKER(aborted, kAborted)
MR_STATUS_MAKER(out_of_range, kOutOfRange)
MR_STATUS_MAKER(unimplemented, kUnimplemented)
MR_STATUS_MAKER(internal_error, kInternal)
MR_STATUS_MAKER(unavailable, kUnavailable)
MR_STATUS_MAKER(data_loss, kDataLoss)
#undef MR_STATUS_MAKER

// The same error with `prefix` before its message, as callers add what they know (a file, an op).
[[nodiscard]] absl::Status annotate(const absl::Status& status, std::string_view prefix);

}  // namespace millrace

#define MR_CONCAT_INNER(a, b) a##b
#define MR_CONCAT(a, b) MR_CONCAT_INNER(a, b)

#define MR_RETURN_IF_ERROR(expr)                                       \
  do {                                                                 \
    if (absl::Status mr_status = (expr); !mr_status.ok()) [[unlikely]] \
      return mr_status;                                                \
  } while (false)

#define MR_ASSIGN_OR_RETURN(lhs, expr) MR_ASSIGN_OR_RETURN_IMPL(MR_CONCAT(mr_statusor_, __LINE__), lhs, expr)
#define MR_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                             \
  if (!tmp.ok()) [[unlikely]]                    \
    return std::move(tmp).status();              \
  lhs = *std::move(tmp)
