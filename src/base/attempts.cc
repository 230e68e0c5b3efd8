#include "base/attempts.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace millrace {

void Attempts::start(Attempt attempt, CancellationScope* scope, std::string if_cancelled, Done done) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);  // a cancellation meanwhile waits for it, and then finds the attempt
    outcome = attempt();
    if (!outcome) {
      const int64_t id = next_id_++;
      std::optional<CancellationScope::Token> token = 0;
      if (scope != nullptr) token = scope->on_cancel([this, id] { cancel(id); });
      if (token)
        waiting_.push_back({id, std::move(attempt), scope, std::move(if_cancelled), std::move(done), *token, {}});
      else outcome = cancelled(if_cancelled);
    }
  }
  if (!outcome) return;
  complete_possible();  // what this one made possible; before `done`, behind which this may be gone
  done(*std::move(outcome));
}

void Attempts::cancel(int64_t id) {
  Waiting ended;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(waiting_, id, &Waiting::id);
    if (found == waiting_.end()) return;  // it has just ended
    ended = std::move(*found);
    waiting_.erase(found);
  }
  ended.done(cancelled(ended.if_cancelled));
}

void Attempts::complete_possible() {
  std::vector<Waiting> ended;
  {
    const std::lock_guard lock(mutex_);
    for (bool changed = true; changed;) {
      changed = false;
      for (auto w = waiting_.begin(); w != waiting_.end();) {
        Outcome outcome = w->attempt();
        if (!outcome) {
          ++w;
          continue;
        }
        w->status = *std::move(outcome);
        ended.push_back(std::move(*w));
        w = waiting_.erase(w);
        changed = true;  // which may have made earlier ones possible
      }
    }
  }
  for (Waiting& w : ended) {
    if (w.scope != nullptr) w.scope->remove(w.token);
    w.done(std::move(w.status));
  }
}

}  // namespace millrace
