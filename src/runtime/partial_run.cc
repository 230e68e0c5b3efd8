#include "runtime/partial_run.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace millrace {
namespace {

bool all_set(const std::vector<char>& flags) {
  return std::ranges::all_of(flags, [](char flag) { return flag != 0; });
}

}  // namespace

PartialRun::PartialRun(std::shared_ptr<SessionCore> session, std::shared_ptr<Program> program, Signature signature)
    : session_(std::move(session)),
      program_(std::move(program)),
      signature_(std::move(signature)),
      scope_(session_->runtime().scope()),
      fed_(signature_.feeds.size()),
      fetched_(signature_.fetches.size()),
      feeds_(signature_.feeds.size()) {}

void PartialRun::begin() {
  schedule_ = program_->new_schedule({.cancellation = &scope_});
  schedule_->start_partial([self = shared_from_this()](absl::Status status) { self->ended(std::move(status)); });
}

bool PartialRun::is_over() const {
  const std::lock_guard lock(mutex_);
  return ended_ || (all_set(fed_) && all_set(fetched_));
}

void PartialRun::ended(absl::Status status) {
  std::function<void()> answer;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    status_ = std::move(status);
    answer = std::exchange(when_ended_, nullptr);
    program_->give_back_step(*schedule_, !status_.ok());
  }
  session_->leave();
  if (answer) answer();
}

// Whether the fetches need nothing that has not been fed. Under the mutex.
absl::Status PartialRun::check_computable(const std::vector<int>& fetches) const {
  absl::flat_hash_set<std::pair<const Node*, int>> fed, unfed;
  for (size_t i = 0; i < signature_.feeds.size(); ++i) {
    (fed_[i] ? fed : unfed).emplace(signature_.feeds[i].node(), signature_.feeds[i].index());
  }
  const std::lock_guard graph_lock(signature_.fetches[0].node()->graph().mutex());
  for (const int f : fetches) {
    const Output& fetch = signature_.fetches[static_cast<size_t>(f)];
    absl::flat_hash_set<const Node*> seen;
    std::vector<std::pair<const Node*, int>> stack = {{fetch.node(), fetch.index()}};
    while (!stack.empty()) {
      const auto value = stack.back();
      stack.pop_back();
      if (fed.contains(value)) continue;
      if (unfed.contains(value)) {
        return invalid_argument("Fetch ", tensor_name(fetch),
                                " can't be computed from the feeds that have been fed so far.");
      }
      if (!seen.insert(value.first).second) continue;
      for (const Output& input : value.first->inputs()) {
        if (input) stack.emplace_back(input.node(), input.index());
      }
      for (const Node* control : value.first->control_inputs()) stack.emplace_back(control, -1);
    }
  }
  return absl::OkStatus();
}

// Books what the call brings and takes. Under the mutex.
absl::Status PartialRun::accept(const std::vector<std::pair<int, Tensor>>& feeds, const std::vector<int>& fetches) {
  for (const auto& [i, value] : feeds) {
    const Output& to = signature_.feeds[static_cast<size_t>(i)];
    if (fed_[static_cast<size_t>(i)]) return invalid_argument("The feed ", tensor_name(to), " has already been fed.");
    const DataType wanted = base_dtype(to.node()->output_type(to.index()));
    if (value.dtype() != wanted) {
      return invalid_argument("Expects the feed ", tensor_name(to), " to be ", dtype_name(wanted), " but ",
                              dtype_name(value.dtype()), " is provided");
    }
  }
  for (const int i : fetches) {
    if (fetched_[static_cast<size_t>(i)]) {
      return invalid_argument("The fetch ", tensor_name(signature_.fetches[static_cast<size_t>(i)]),
                              " has already been fetched.");
    }
  }
  for (const auto& [i, value] : feeds) fed_[static_cast<size_t>(i)] = 1;
  if (!fetches.empty()) {
    if (absl::Status status = check_computable(fetches); !status.ok()) {
      for (const auto& [i, value] : feeds) fed_[static_cast<size_t>(i)] = 0;
      return status;
    }
  }
  for (const int i : fetches) fetched_[static_cast<size_t>(i)] = 1;
  return absl::OkStatus();
}

void PartialRun::run(std::vector<std::pair<int, Tensor>> feeds, std::vector<int> fetches, Done done) {
  std::vector<uint32_t> slots;
  std::vector<Tensor> values(fetches.size());  // those known already
  std::vector<size_t> positions;               // of slots among the fetches
  bool is_last = false;
  {
    std::unique_lock lock(mutex_);
    if (absl::Status status = accept(feeds, fetches); !status.ok()) {
      lock.unlock();
      done(std::move(status), {});
      return;
    }
    for (const auto& [i, value] : feeds) feeds_[static_cast<size_t>(i)] = value;
    for (size_t f = 0; f < fetches.size(); ++f) {
      const Program::Fetch& fetch = program_->fetch(fetches[f]);
      if (fetch.feed >= 0) values[f] = feeds_[static_cast<size_t>(fetch.feed)];
      else if (fetch.constant >= 0) values[f] = program_->constant(fetch.constant);
      else slots.push_back(fetch.slot), positions.push_back(f);
    }
    is_last = all_set(fed_) && all_set(fetched_);
  }
  schedule_->feed(std::move(feeds));
  schedule_->when_fetched(std::move(slots), [self = shared_from_this(), done = std::move(done), values, positions,
                                             fetches, is_last](absl::Status status, std::vector<Tensor> got) mutable {
    for (size_t k = 0; status.ok() && k < got.size(); ++k) {
      values[positions[k]] = std::move(got[k]);
      if (!values[positions[k]].has_value()) {
        status = invalid_argument("Retval[", fetches[positions[k]], "] does not have value");
      }
    }
    std::unique_lock lock(self->mutex_);
    if (!is_last || self->ended_ || !status.ok()) {
      if (status.ok() && self->ended_) status = self->status_;
      lock.unlock();
      done(std::move(status), std::move(values));
      return;
    }
    // A std::function must be copyable, so what it hands over once is shared.
    auto answer = std::make_shared<std::pair<Done, std::vector<Tensor>>>(std::move(done), std::move(values));
    self->when_ended_ = [raw = self.get(), answer] { answer->first(raw->status_, std::move(answer->second)); };
  });
}

absl::StatusOr<std::shared_ptr<PartialRun>> SessionCore::partial_run_setup(std::span<const Output> feeds,
                                                                           std::span<const Output> fetches,
                                                                           std::span<Node* const> targets) {
  Signature signature{{feeds.begin(), feeds.end()}, {fetches.begin(), fetches.end()}, {targets.begin(), targets.end()}};
  signature.partial = true;
  MR_ASSIGN_OR_RETURN(std::shared_ptr<Program> program, program_for(signature));
  auto run = std::make_shared<PartialRun>(shared_from_this(), std::move(program), std::move(signature));
  if (!enter()) return cancelled("Session has been closed.");
  run->begin();
  return run;
}

}  // namespace millrace
