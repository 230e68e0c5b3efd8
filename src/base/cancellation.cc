#include "base/cancellation.h"

#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace millrace {
namespace {

uint64_t this_thread_id() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

}  // namespace

CancellationScope::CancellationScope(CancellationScope* parent) : parent_(parent) {
  if (!parent_) return;
  parent_token_ = parent_->on_cancel([this] { cancel(parent_->status()); });
  if (!parent_token_) cancel(parent_->status());
}

CancellationScope::~CancellationScope() {
  if (parent_token_) parent_->remove(*parent_token_);
}

absl::Status CancellationScope::status() const {
  if (!is_cancelled()) return absl::OkStatus();
  std::unique_lock<std::mutex> lock(mutex_);
  return reason_;
}

std::optional<CancellationScope::Token> CancellationScope::on_cancel(Callback callback) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (is_cancelled()) return std::nullopt;
  const Token token = next_token_++;
  callbacks_.emplace(token, std::move(callback));
  return token;
}

bool CancellationScope::remove(Token token) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (callbacks_.erase(token) > 0) return true;
  // A callback that removes itself, or ends the wait that owns it, must not wait for itself.
  while (running_ == token && running_thread_ != this_thread_id()) callback_done_.wait(lock);
  return false;
}

void CancellationScope::cancel(absl::Status reason) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (is_cancelled()) return;
  reason_ = reason.ok() ? absl::CancelledError("Operation was cancelled") : std::move(reason);
  cancelled_.store(true, std::memory_order_release);
  running_thread_ = this_thread_id();
  // One at a time, so that a callback may remove those not called yet.
  while (!callbacks_.empty()) {
    auto node = callbacks_.extract(callbacks_.begin());
    running_ = node.key();
    lock.unlock();
    node.mapped()();
    node = {};
    lock.lock();
    running_.reset();
    callback_done_.notify_all();
  }
}

}  // namespace millrace
