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

// Each node waits until its step's deadline, and in another step until the session is closed.
void expect_to_wait(const std::shared_ptr<SessionCore>& session, const std::vector<Node*>& nodes) {
  std::vector<std::future<absl::Status>> runs;
  for (Node* node : nodes) {
    const auto late = run_all(*session, {}, {}, {node}, kSoon);
    EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded) << late.status();
    runs.push_back(in_background(session, {node}));
  }
  EXPECT_TRUE(waits(runs[0]));
  session->close();
  for (auto& run : runs) EXPECT_TRUE(absl::IsCancelled(run.get()));
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
  expect_to_wait(g.session(), all);
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

constexpr int64_t kLong = int64_t{1800} * 1'000'000;  // microseconds

Node* batch(TestGraph& g, const Output& x, int64_t size, int64_t timeout) {
  return g.node("Batch", {std::vector<Output>{x}},
                {{"num_batch_threads", 1},
                 {"max_batch_size", size},
                 {"batch_timeout_micros", timeout},
                 {"grad_timeout_micros", kLong}});
}

TEST(Waiting, steps_that_form_a_batch_get_their_own_results) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kFloat, {-1});
  Node* gathered = batch(g, x, 4, kLong);
  const Output sum = g.op("Add", {Output(gathered, 0), g.op("Sum", {Output(gathered, 0), g.constant(Tensor(0))})});
  const Output mine = g.op("Unbatch", {sum, Output(gathered, 1), Output(gathered, 2)}, {{"timeout_micros", kLong}});
  const auto session = g.session();
  std::vector<std::future<absl::StatusOr<std::vector<Tensor>>>> runs;
  for (int i = 0; i < 4; ++i) {
    runs.push_back(std::async(std::launch::async, [&, i] {
      return run_all(*session, {mine}, {{x, Tensor(std::vector<float>{static_cast<float>(i)})}});
    }));
  }
  for (int i = 0; i < 4; ++i) {
    const auto values = runs[static_cast<size_t>(i)].get();
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0].to_vector<float>()[0], static_cast<float>(i + 0 + 1 + 2 + 3));
  }
}

TEST(Waiting, batches_end_waiting_with_the_step_or_the_session) {
  TestGraph g;
  const Output x = g.constant(Tensor(std::vector<float>{1}));
  Node* gathered = batch(g, x, 4, kLong);
  const Output none = g.constant(Tensor({0}, std::vector<float>()));
  const Output no_index = g.constant(Tensor({0, 3}, std::vector<int64_t>()));
  const Output index = g.constant(Tensor({1, 3}, std::vector<int64_t>{8, 0, 1}));
  const Output id = g.constant(Tensor(int64_t{7}));
  const std::vector<Node*> all = {
      gathered,
      g.node("Unbatch", {none, no_index, id}, {{"timeout_micros", kLong}}),
      g.node("UnbatchGrad", {x, index, x, id}),
  };
  expect_to_wait(g.session(), all);
}

// A call of the function for one step, in batches of `size`.
Node* batch_function(TestGraph& g, const std::string& function, const Output& x, int64_t size) {
  return g.node("BatchFunction", {std::vector<Output>{x}, std::vector<Output>{}},
                {{"f", FunctionRef(function)},
                 {"Tout", std::vector<DataType>{DataType::kInt32}},
                 {"num_batch_threads", 1},
                 {"max_batch_size", size},
                 {"batch_timeout_micros", kLong}});
}

TEST(Waiting, a_function_is_called_once_for_several_steps) {
  TestGraph g;
  add_function(g, "sizes", int32, int32,
               {node("shape", "Shape", {"x"}, {{"T", int32}}), node("size", "Size", {"x"}, {{"T", int32}}),
                node("fill", "Fill", {"shape:output:0", "size:output:0"}, {{"T", int32}})},
               "fill:output:0");
  const Output x = g.placeholder(DataType::kInt32, {-1});
  const Output y(batch_function(g, "sizes", x, 3), 0);
  const auto session = g.session();
  auto other = std::async(std::launch::async, [&] {
    return run_all(*session, {y}, {{x, Tensor(std::vector<int32_t>{1})}});
  });
  const auto mine = run_all(*session, {y}, {{x, Tensor(std::vector<int32_t>{2, 3})}});
  ASSERT_TRUE(mine.ok()) << mine.status();
  EXPECT_EQ((*mine)[0].to_vector<int32_t>(), std::vector<int32_t>({3, 3}));
  EXPECT_EQ((*other.get())[0].to_vector<int32_t>(), std::vector<int32_t>({3}));
}

TEST(Waiting, a_function_that_waits_for_ever_ends_when_its_callers_do) {
  TestGraph g;
  add_function(g, "waits", int32, int32,
               {node("got", "Unstage", {}, area("never", {{"dtypes", kInt}})),
                node("sum", "Add", {"x", "got:values:0"}, {{"T", int32}})},
               "sum:z:0");
  const Output x = g.placeholder(DataType::kInt32, {-1});
  const Output y(batch_function(g, "waits", x, 1), 0);
  const auto session = g.session();
  const Feeds feeds = {{x, Tensor(std::vector<int32_t>{1})}};
  const auto late = run_all(*session, {y}, feeds, {}, kSoon);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded) << late.status();
  Node* put = g.node("Stage", {std::vector<Output>{g.constant(Tensor(5))}}, area("never"));
  ASSERT_TRUE(run_all(*session, {}, {}, {put}).ok());
  const auto next = run_all(*session, {y}, feeds, {}, 10000);  // the first call is over and took nothing
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ((*next)[0].to_vector<int32_t>(), std::vector<int32_t>({6}));
  auto waiting = std::async(std::launch::async, [&] { return run_all(*session, {y}, feeds).status(); });
  EXPECT_TRUE(waits(waiting));
  session->close();
  EXPECT_TRUE(absl::IsCancelled(waiting.get()));
}

TEST(Waiting, two_batches_of_equal_inputs_are_not_one) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kFloat, {-1});
  const AttrMap attrs = {{"num_batch_threads", 1},
                         {"max_batch_size", 2},
                         {"batch_timeout_micros", kLong},
                         {"grad_timeout_micros", kLong},
                         {"shared_name", "shared"}};
  Node* a = g.node("Batch", {std::vector<Output>{x}}, attrs);
  Node* b = g.node("Batch", {std::vector<Output>{x}}, attrs);
  const auto session = g.session();
  const auto values = run_all(*session, {Output(a, 0), Output(b, 0)}, {{x, Tensor(std::vector<float>{5})}}, {}, 10000);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ((*values)[0].num_elements() + (*values)[1].num_elements(), 2);
}

}  // namespace
}  // namespace millrace
