#pragma once
// Attempts at what may not be possible yet, such as entering what is full. They wait holding no thread; whoever makes
// them possible completes them, in the order they came, where several became possible at once.
//
//   class Gate {
//     void pass(CancellationScope* scope, Attempts::Done done) {
//       attempts_.start([this] { return open_ ? Attempts::ended() : Attempts::waits(); }, scope, "Passing was
//       cancelled",
//                       done);
//     }
//     void open() { attempts_.change([this] { open_ = true; }); }
//     bool open_ = false;  // guarded by the lock of attempts_
//     Attempts attempts_;
//   };
//
// Thread-safe. What an attempt refers to must live until its `done` was called, best by `done` itself holding it.

#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>

#include "base/cancellation.h"
#include "base/status.h"

namespace millrace {

class Attempts {
 public:
  using Outcome = std::optional<absl::Status>;
  static Outcome waits() { return std::nullopt; }
  static Outcome ended(absl::Status status = absl::OkStatus()) { return status; }
  // Called under the lock, at once and whenever something has changed, until it does not wait any more. It may change
  // what is guarded.
  using Attempt = std::function<Outcome()>;
  // Called once, without the lock, from any thread.
  using Done = std::function<void(absl::Status)>;

  // A scope (null: none) must live until `done` was called. If it is cancelled first, the attempt ends with Cancelled
  // and this message.
  void start(Attempt attempt, CancellationScope* scope, std::string if_cancelled, Done done);
  // Runs `update` under the lock, then completes the attempts that it made possible. This may be gone afterwards,
  // where only their `done` held it.
  template <class Update> void change(Update update) {
    {
      const std::lock_guard lock(mutex_);
      update();
    }
    complete_possible();
  }
  template <class Read> auto read(Read read) const {
    const std::lock_guard lock(mutex_);
    return read();
  }

 private:
  struct Waiting {
    int64_t id = 0;
    Attempt attempt = {};
    CancellationScope* scope = nullptr;
    std::string if_cancelled = {};
    Done done = {};
    CancellationScope::Token token = 0;
    absl::Status status = {};  // once it has ended
  };
  void cancel(int64_t id);
  void complete_possible();

  mutable std::mutex mutex_;  // guards what follows, and what attempts and updates touch
  std::list<Waiting> waiting_;
  int64_t next_id_ = 0;
};

}  // namespace millrace
