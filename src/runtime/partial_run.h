#pragma once
// Session.partial_run: a signature whose feeds come in several calls, each of which takes the fetches that it can have
// by then. Thread-safe; calls of one run may overlap.
//
//   auto run = session->partial_run_setup({a, b, c}, {r1, r2}, {});
//   (*run)->run({{0, one}, {1, two}}, {0}, done);    // r1 = a + b
//   (*run)->run({{2, seventeen}}, {1}, done);        // r2 = r1 * c

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/schedule.h"
#include "runtime/session.h"

namespace millrace {

class PartialRun : public std::enable_shared_from_this<PartialRun> {
 public:
  using Done = std::function<void(absl::Status, std::vector<Tensor>)>;

  PartialRun(std::shared_ptr<SessionCore> session, std::shared_ptr<Program> program, Signature signature);

  // Feeds and fetches by their numbers in the setup. InvalidArgument, which leaves the run as it was, for those that
  // the setup did not name, that were fed or fetched before, or that need what has not been fed. The call that is the
  // last of the run answers when all of it has ended.
  void run(std::vector<std::pair<int, Tensor>> feeds, std::vector<int> fetches, Done done);
  void cancel(absl::Status reason) { scope_.cancel(std::move(reason)); }
  // Nothing more can be asked of it: all was fed and fetched, or it has failed.
  bool is_over() const;

 private:
  friend class SessionCore;
  void begin();
  absl::Status accept(const std::vector<std::pair<int, Tensor>>& feeds, const std::vector<int>& fetches);
  absl::Status check_computable(const std::vector<int>& fetches) const;
  void ended(absl::Status status);

  const std::shared_ptr<SessionCore> session_;
  const std::shared_ptr<Program> program_;
  const Signature signature_;
  CancellationScope scope_;

  mutable std::mutex mutex_;
  std::shared_ptr<Schedule> schedule_;
  std::vector<char> fed_, fetched_;
  std::vector<Tensor> feeds_;  // those that are fetched too
  bool ended_ = false;
  absl::Status status_;
  std::function<void()> when_ended_;  // the last call's answer
};

}  // namespace millrace
