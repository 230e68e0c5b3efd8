#include "cluster/master_client.h"

#include <algorithm>
#include <thread>

#include "cluster/message_bytes.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPatience = std::chrono::seconds(10);
constexpr milliseconds kFirstPause{50}, kLongestPause{1000};
constexpr std::string_view kScheme = "grpc://";

}  // namespace

absl::StatusOr<std::shared_ptr<MasterClient>> MasterClient::connect(const std::string& target) {
  if (target.rfind(kScheme, 0) != 0) {
    return not_found("No session factory registered for the given session options: {target: \"", target,
                     "\"}. Known are \"\", this process, and \"grpc://host:port\".");
  }
  const std::string address = target.substr(kScheme.size());
  if (address.empty() || address.find('/') != std::string::npos)
    return invalid_argument("the session target '", target, "' has the form grpc://host:port");
  const absl::StatusOr<Transport*> carrier = transport();
  if (!carrier.ok()) return annotate(carrier.status(), target);
  return std::shared_ptr<MasterClient>(new MasterClient(target, (*carrier)->connect(address)));
}

absl::Status MasterClient::perform(OutgoingCall& call, const char* method, const google::protobuf::MessageLite& request,
                                   google::protobuf::MessageLite* response, milliseconds timeout) const {
  std::string bytes;
  MR_RETURN_IF_ERROR(to_bytes(request, &bytes));
  std::unique_ptr<ReceivedMessage> answer;
  absl::Status status = call.run(method, std::move(bytes), timeout, &answer);
  if (status.code() == absl::StatusCode::kUnavailable) return annotate(status, target_);
  MR_RETURN_IF_ERROR(status);
  status = from_bytes(*answer, response);
  return status.ok() ? status : annotate(status, str_cat(target_, method));
}

absl::Status MasterClient::call(const char* method, const google::protobuf::MessageLite& request,
                                google::protobuf::MessageLite* response, milliseconds timeout) {
  const std::unique_ptr<OutgoingCall> call = channel_->new_call();
  {
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(ended_);
    pending_.insert(call.get());
  }
  struct Leave {  // whatever is thrown
    MasterClient* client;
    OutgoingCall* call;
    ~Leave() {
      const std::lock_guard lock(client->mutex_);
      client->pending_.erase(call);
    }
  } leave{this, call.get()};
  absl::Status status = perform(*call, method, request, response, timeout);
  const std::lock_guard lock(mutex_);
  if (status.code() == absl::StatusCode::kCancelled && !ended_.ok()) return ended_;
  return status;
}

absl::Status MasterClient::call_patiently(const char* method, const google::protobuf::MessageLite& request,
                                          google::protobuf::MessageLite* response, milliseconds timeout) {
  const bool limited = timeout > milliseconds::zero();
  const Clock::time_point until = Clock::now() + (limited ? std::min(timeout, kPatience) : kPatience);
  for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    absl::Status status = call(method, request, response, timeout);
    if (status.code() != absl::StatusCode::kUnavailable || Clock::now() + pause >= until) return status;
    std::this_thread::sleep_for(pause);
  }
}

absl::Status MasterClient::call_last(const char* method, const google::protobuf::MessageLite& request,
                                     google::protobuf::MessageLite* response, milliseconds timeout) {
  return perform(*channel_->new_call(), method, request, response, timeout);
}

void MasterClient::cancel_all(const absl::Status& reason) {
  const std::lock_guard lock(mutex_);
  if (ended_.ok()) ended_ = reason;
  for (OutgoingCall* const call : pending_) call->cancel();
}

}  // namespace millrace
