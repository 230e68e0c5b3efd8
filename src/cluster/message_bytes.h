#pragma once
// Protocol buffers to the bytes that a transport carries, and back.

#include <string>

#include "cluster/transport.h"

namespace google::protobuf {
class MessageLite;
}

namespace millrace {

// ResourceExhausted for more than 2 GiB, which protocol buffers cannot write.
absl::Status to_bytes(const google::protobuf::MessageLite& message, std::string* bytes);
// Internal if they are no such message.
absl::Status from_bytes(const ReceivedMessage& received, google::protobuf::MessageLite* message);

}  // namespace millrace
