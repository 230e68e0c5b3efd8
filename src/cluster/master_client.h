#pragma once
// Calls of MasterService. Thread-safe.

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "cluster/transport.h"

namespace google::protobuf {
class MessageLite;
}

namespace millrace {

class MasterClient {
 public:
  // `target`: "grpc://host:port".
  static absl::StatusOr<std::shared_ptr<MasterClient>> connect(const std::string& target);

  // Waits for the answer. `timeout` zero: none.
  absl::Status call(const char* method, const google::protobuf::MessageLite& request,
                    google::protobuf::MessageLite* response, std::chrono::milliseconds timeout = {});
  // The same, and again for some seconds while the server cannot be reached: it may be starting. For calls that do no
  // harm when they are done twice.
  absl::Status call_patiently(const char* method, const google::protobuf::MessageLite& request,
                              google::protobuf::MessageLite* response, std::chrono::milliseconds timeout = {});
  // Ends the calls under way, and all later ones but `call_last`.
  void cancel_all(const absl::Status& reason);
  absl::Status call_last(const char* method, const google::protobuf::MessageLite& request,
                         google::protobuf::MessageLite* response, std::chrono::milliseconds timeout);

 private:
  MasterClient(std::string target, std::shared_ptr<Channel> channel)
      : target_(std::move(target)), channel_(std::move(channel)) {}
  absl::Status perform(OutgoingCall& call, const char* method, const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* response, std::chrono::milliseconds timeout) const;

  const std::string target_;
  const std::shared_ptr<Channel> channel_;
  std::mutex mutex_;  // guards what follows
  absl::Status ended_;
  absl::flat_hash_set<OutgoingCall*> pending_;
};

}  // namespace millrace
