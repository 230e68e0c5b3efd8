// Ops that wait for what other steps do: they hold no thread, and end with their step or their session.

#include <future>

#include "gmock/gmock.h"
#include "runtime/testing_functions.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr int64_t kSoon = 50;  // milliseconds after which a run that waits is given up

const std::vector<DataType> kInt = {DataType::kInt32};

AttrMap area(std::string name, AttrMap more = {}) {
  more.emplace("shared_name", std::move(name));
  return more;
}

// Runs the targets on a thread of their own.
std::future<absl::Status> in_background(const std::shared_ptr<SessionCore>& session, std::vector<Node*> targets) {
  return std::async(std::launch::async, [session, targets] { return run_all(*session, {}, {}, targets).status(); });
}

bool waits(const std::future<absl::Status>& run) {
  return run.wait_for(std::chrono::milliseconds(kSoon)) == std::future_status::timeout;
}

TEST(Waiting, a_step_may_take_what_it_stages_itself) {
  TestGraph g;
  const Output got = g.op("Unstage", {}, area("a", {{"dtypes", kInt}}));
  Node* put = g.node("Stage", {std::vector<Output>{g.constant(Tensor(7))}}, area("a"));
  const auto session = g.session({.runtime = {.inter_op_parallelism_threads = 1}});
  const auto values = run_all(*session, {got}, {}, {put});
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ((*values)[0].scalar<int32_t>(), 7);
}

TEST(Waiting, staging_areas_end_waiting_with_the_step_or_the_session) {
  TestGraph g;
  const Output key = g.constant(Tensor(int64_t{1})), index = g.constant(Tensor(std::vector<int32_t>{0}));
  const std::vector<Node*> all = {
      g.node("Unstage", {}, area("a", {{"dtypes", kInt}})),
      g.node("StagePeek", {g.constant(Tensor(3))}, area("a", {{"dtypes", kInt}})),
      g.node("MapUnstage", {key, index}, area("m", {{"dtypes", kInt}})),
      g.node("OrderedMapUnstageNoKey", {index}, area("m", {{"dtypes", kInt}})),
  };
  const auto session = g.session();
  std::vector<std::future<absl::Status>> runs;
  for (Node* node : all) {
    const auto late = run_all(*session, {}, {}, {node}, kSoon);
    EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded) << late.status();
    runs.push_back(in_background(session, {node}));
  }
  EXPECT_TRUE(waits(runs[0]));
  session->close();
  for (auto& run : runs) EXPECT_TRUE(absl::IsCancelled(run.get()));
}

TEST(Waiting, a_mutex_is_free_when_its_lock_is_dropped) {
  TestGraph g;
  const Output lock = g.op("MutexLock", {g.op("MutexV2", {}, area("m"))});
  Node* consume = g.node("ConsumeMutexLock", {lock});
  const auto session = g.session();
  absl::StatusOr<std::vector<Tensor>> held = run_all(*session, {lock});
  ASSERT_TRUE(held.ok()) << held.status();
  const auto late = run_all(*session, {}, {}, {consume}, kSoon);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded) << late.status();
  auto waiting = in_background(session, {consume});
  EXPECT_TRUE(waits(waiting));
  held->clear();
  EXPECT_TRUE(waiting.get().ok());

  held = run_all(*session, {lock});
  waiting = in_background(session, {consume});
  EXPECT_TRUE(waits(waiting));
  session->close();
  EXPECT_TRUE(absl::IsCancelled(waiting.get()));
}

TEST(Waiting, what_is_done_under_a_lock_is_done_by_one_alone) {
  TestGraph g;
  const Output v = g.variable(DataType::kInt32, {}, "count");
  Node* init = g.node("Assign", {v, g.constant(Tensor(0))});
  const Output mutex = g.op("MutexV2", {}, area("m"));
  std::vector<Node*> ends;
  for (int i = 0; i < 8; ++i) {  // read and written in two steps, several times in one run
    const Output lock = g.op("MutexLock", {mutex});
    const Output read = g.op("Add", {g.op("Identity", {v}, {}, {}, {lock.node()}), g.constant(Tensor(1))});
    Node* write = g.node("Assign", {v, read});
    ends.push_back(g.node("ConsumeMutexLock", {lock}, {}, {}, {write}));
  }
  const auto session = g.session({.runtime = {.inter_op_parallelism_threads = 2}});
  ASSERT_TRUE(run_all(*session, {}, {}, {init}).ok());
  std::vector<std::future<absl::Status>> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(in_background(session, ends));
  for (auto& run : runs) {
    const absl::Status status = run.get();
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(*run_scalar<int32_t>(*session, v), 32);
}

}  // namespace
}  // namespace millrace
