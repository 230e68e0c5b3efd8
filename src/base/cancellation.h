#pragma once
// Cancellation scopes: what every wait belongs to. A session, a step, a call each own one; cancelling it cancels the
// scopes below it and calls what waits registered, so that they end. Thread-safe.
//
//   auto token = scope.on_cancel([this] { wake_up(); });
//   if (!token) return scope.status();            // cancelled before
//   ...wait...
//   scope.remove(*token);                         // afterwards the callback neither runs nor will run

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace millrace {

class CancellationScope {
 public:
  using Token = int64_t;
  using Callback = std::function<void()>;

  CancellationScope() = default;
  // Is cancelled when `parent` is, at once if that has happened already. `parent` must outlive this scope; may be null.
  explicit CancellationScope(CancellationScope* parent);
  // Callbacks still registered are dropped without being called.
  ~CancellationScope();
  CancellationScope(const CancellationScope&) = delete;
  CancellationScope& operator=(const CancellationScope&) = delete;

  bool is_cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  // OK, or why the scope was cancelled.
  absl::Status status() const;

  // Calls `callback` once if the scope is cancelled later, on the thread that cancels. Nothing is registered, and
  // nothing returned, if that has happened already.
  [[nodiscard]] std::optional<Token> on_cancel(Callback callback);
  // True if the callback had not been called and now never will be. Waits while another thread is calling it.
  bool remove(Token token);

  // The first call wins; later ones do nothing. Callbacks run without locks held; they may register and remove.
  void cancel(absl::Status reason = absl::CancelledError("Operation was cancelled"));

 private:
  CancellationScope* const parent_ = nullptr;
  std::optional<Token> parent_token_;

  std::atomic<bool> cancelled_{false};
  // std::mutex here and wherever threads meet: Debian builds abseil without the annotations that the thread sanitizer
  // needs.
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable callback_done_;
  absl::Status reason_;
  absl::flat_hash_map<Token, Callback> callbacks_;
  Token next_token_ = 0;
  std::optional<Token> running_;  // the callback being called, and by which thread
  uint64_t running_thread_ = 0;
};

}  // namespace millrace
