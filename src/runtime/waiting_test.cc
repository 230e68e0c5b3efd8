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

}  // namespace
}  // namespace millrace
