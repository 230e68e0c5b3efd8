#include "base/errors.h"

#include <optional>

#include "absl/strings/cord.h"

namespace millrace {
namespace {

constexpr std::string_view kNodeUrl = "millrace/node", kOpUrl = "millrace/op", kDeviceUrl = "millrace/device",
                           kSourceUrl = "millrace/source";

std::string payload(const absl::Status& status, std::string_view url) {
  const absl::optional<absl::Cord> cord = status.GetPayload(to_absl(url));
  return cord ? std::string(*cord) : std::string();
}

void set_payload(absl::Status& status, std::string_view url, const std::string& value) {
  if (!value.empty()) status.SetPayload(to_absl(url), absl::Cord(value));
}

}  // namespace

absl::Status with_where(absl::Status status, const errors::Where& where) {
  if (status.ok()) return status;
  set_payload(status, kNodeUrl, where.node_name);
  set_payload(status, kOpUrl, where.op_type);
  set_payload(status, kDeviceUrl, where.device);
  set_payload(status, kSourceUrl, where.source);
  return status;
}

errors::Where where_of(const absl::Status& status) {
  return {payload(status, kNodeUrl), payload(status, kOpUrl), payload(status, kDeviceUrl), payload(status, kSourceUrl)};
}

void raise(const absl::Status& status) {
  errors::raise(static_cast<errors::Code>(static_cast<int>(status.code())), std::string(status.message()),
                where_of(status));
}

absl::Status status_of(const std::exception& error) {
  if (const auto* op_error = dynamic_cast<const errors::OpError*>(&error)) {
    return with_where(absl::Status(static_cast<absl::StatusCode>(static_cast<int>(op_error->code())), op_error->what()),
                      op_error->where());
  }
  return unknown_error(error.what());
}

namespace errors {

void raise(Code code, const std::string& message, Where where) {
  switch (code) {
    case Code::kCancelled: throw CancelledError(message, std::move(where));
    case Code::kInvalidArgument: throw InvalidArgumentError(message, std::move(where));
    case Code::kDeadlineExceeded: throw DeadlineExceededError(message, std::move(where));
    case Code::kNotFound: throw NotFoundError(message, std::move(where));
    case Code::kAlreadyExists: throw AlreadyExistsError(message, std::move(where));
    case Code::kPermissionDenied: throw PermissionDeniedError(message, std::move(where));
    case Code::kResourceExhausted: throw ResourceExhaustedError(message, std::move(where));
    case Code::kFailedPrecondition: throw FailedPreconditionError(message, std::move(where));
    case Code::kAborted: throw AbortedError(message, std::move(where));
    case Code::kOutOfRange: throw OutOfRangeError(message, std::move(where));
    case Code::kUnimplemented: throw UnimplementedError(message, std::move(where));
    case Code::kInternal: throw InternalError(message, std::move(where));
    case Code::kUnavailable: throw UnavailableError(message, std::move(where));
    case Code::kDataLoss: throw DataLossError(message, std::move(where));
    case Code::kUnauthenticated: throw UnauthenticatedError(message, std::move(where));
    case Code::kOk:
    case Code::kUnknown: break;
  }
  throw UnknownError(message, std::move(where));
}

}  // namespace errors
}  // namespace millrace
