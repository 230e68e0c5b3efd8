#pragma once
// TF1's error classes. Every failure leaves the API as one of these; what() says what happened, where (op, the user's
// source line) and what to do.
//
//   try { session.run(train); } catch (const tf::errors::OutOfRangeError&) { /* the data has ended */ }

#include <stdexcept>
#include <string>

namespace millrace::errors {

#pragma GCC visibility push(default)

// TensorFlow's error codes (error_codes.proto).
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What was known where the error arose; empty where it does not apply.
struct Where {
  std::string node_name;  // "dense/MatMul"
  std::string op_type;    // "MatMul"
  std::string device;
  std::string source;  // "train.cc:42", where the user's program created the op
};

class OpError : public std::runtime_error {
 public:
  OpError(Code code, const std::string& message, Where where = {})
      : std::runtime_error(message), code_(code), where_(std::move(where)) {}
  Code code() const { return code_; }
  std::string message() const { return what(); }
  const Where& where() const { return where_; }

 private:
  Code code_;
  Where where_;
};

#define MR_ERROR_CLASS(Name, code_value)                               \
  class Name##Error : public OpError {                                 \
   public:                                                             \
    explicit Name##Error(const std::string& message, Where where = {}) \
        : OpError(Code::code_value, message, std::move(where)) {}      \
  };
MR_ERROR_CLASS(Cancelled, kCancelled)
MR_ERROR_CLASS(Unknown, kUnknown)
MR_ERROR_CLASS(InvalidArgument, kInvalidArgument)
MR_ERROR_CLASS(DeadlineExceeded, kDeadlineExceeded)
MR_ERROR_CLASS(NotFound, kNotFound)
MR_ERROR_CLASS(AlreadyExists, kAlreadyExists)
MR_ERROR_CLASS(PermissionDenied, kPermissionDenied)
MR_ERROR_CLASS(ResourceExhausted, kResourceExhausted)
MR_ERROR_CLASS(FailedPrecondition, kFailedPrecondition)
MR_ERROR_CLASS(Aborted, kAborted)
MR_ERROR_CLASS(OutOfRange, kOutOfRange)
MR_ERROR_CLASS(Unimplemented, kUnimplemented)
MR_ERROR_CLASS(Internal, kInternal)
MR_ERROR_CLASS(Unavailable, kUnavailable)
MR_ERROR_CLASS(DataLoss, kDataLoss)
MR_ERROR_CLASS(Unauthenticated, kUnauthenticated)
#undef MR_ERROR_CLASS

// Throws the class of `code`.
[[noreturn]] void raise(Code code, const std::string& message, Where where = {});

#pragma GCC visibility pop

}  // namespace millrace::errors
