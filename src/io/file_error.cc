#include <cerrno>
#include <cstring>

#include "io/file_system.h"

namespace millrace {
namespace {

// TensorFlow's classes for error numbers.
absl::StatusCode code_of(int error) {
  switch (error) {
    case EINVAL:
    case ENAMETOOLONG:
    case E2BIG:
    case EDOM:
    case EFAULT:
    case EILSEQ:
    case ESPIPE: return absl::StatusCode::kInvalidArgument;
    case ETIMEDOUT: return absl::StatusCode::kDeadlineExceeded;
    case ENODEV:
    case ENOENT:
    case ENXIO:
    case ESRCH: return absl::StatusCode::kNotFound;
    case EEXIST: return absl::StatusCode::kAlreadyExists;
    case EPERM:
    case EACCES:
    case EROFS: return absl::StatusCode::kPermissionDenied;
    case ENOTEMPTY:
    case EISDIR:
    case ENOTDIR:
    case EBADF:
    case EBUSY:
    case EPIPE:
    case ETXTBSY: return absl::StatusCode::kFailedPrecondition;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case EMLINK:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return absl::StatusCode::kResourceExhausted;
    case EFBIG:
    case EOVERFLOW:
    case ERANGE: return absl::StatusCode::kOutOfRange;
    case ENOSYS:
    case ENOTSUP:
    case EXDEV: return absl::StatusCode::kUnimplemented;
    case EAGAIN:
    case EINTR:
    case ENOLCK: return absl::StatusCode::kUnavailable;
    case EDEADLK:
    case ESTALE: return absl::StatusCode::kAborted;
    case ECANCELED: return absl::StatusCode::kCancelled;
    default: return absl::StatusCode::kUnknown;  // EIO among them
  }
}

}  // namespace

absl::Status file_error(std::string_view path, int error) {
  char buffer[128];
  return absl::Status(code_of(error), str_cat(path, "; ", strerror_r(error, buffer, sizeof(buffer))));
}

}  // namespace millrace
