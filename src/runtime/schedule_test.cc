// Asynchronous kernels, cancellation, and TF1's dynamic control flow.

#include "runtime/schedule.h"

#include <chrono>
#include <deque>
#include <latch>
#include <thread>

#include "gmock/gmock.h"
#include "op/shape_context.h"
#include "runtime/testing_graph.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A queue of floats, as small as it can be: Pop waits asynchronously.
class TestQueue final : public Resource {
 public:
  std::string description() const override { return "queue"; }
  void push(float value) {
    std::function<void(absl::Status, float)> waiter;
    {
      std::lock_guard lock(mutex_);
      if (waiters_.empty()) {
        values_.push_back(value);
        return;
      }
      waiter = std::move(waiters_.front().second);
      waiters_.pop_front();
    }
    waiter(absl::OkStatus(), value);
  }
  void pop(int64_t id, std::function<void(absl::Status, float)> done) {
    float value;
    {
      std::lock_guard lock(mutex_);
      if (values_.empty()) {
        waiters_.emplace_back(id, std::move(done));
        return;
      }
      value = values_.front();
      values_.pop_front();
    }
    done(absl::OkStatus(), value);
  }
  void cancel(int64_t id) {
    std::function<void(absl::Status, float)> waiter;
    {
      std::lock_guard lock(mutex_);
      for (auto it = waiters_.begin(); it != waiters_.end(); ++it) {
        if (it->first != id) continue;
        waiter = std::move(it->second);
        waiters_.erase(it);
        break;
      }
    }
    if (waiter) waiter(cancelled("Dequeue operation was cancelled"), 0);
  }

 private:
  std::mutex mutex_;
  std::deque<float> values_;
  std::deque<std::pair<int64_t, std::function<void(absl::Status, float)>>> waiters_;
};

absl::StatusOr<std::shared_ptr<TestQueue>> queue_of(KernelContext& ctx) {
  return ctx.resources().lookup_or_create<TestQueue>("test", "queue", [] { return std::make_shared<TestQueue>(); });
}

class Push final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto queue, queue_of(ctx));
    MR_ASSIGN_OR_RETURN(const float value, ctx.scalar<float>(0));
    queue->push(value);
    return absl::OkStatus();
  }
};

class Pop final : public AsyncKernel {
  void compute_async(KernelContext& ctx, Done done) override {
    const auto queue = queue_of(ctx);
    if (!queue.ok()) return done(queue.status());
    static std::atomic<int64_t> next{0};
    const int64_t id = next++;
    const auto token = ctx.cancellation()->on_cancel([q = *queue, id] { q->cancel(id); });
    if (!token) return done(cancelled("Dequeue operation was cancelled"));
    (*queue)->pop(id, [&ctx, token, done](absl::Status status, float value) {
      ctx.cancellation()->remove(*token);
      if (status.ok()) status = ctx.set_scalar<float>(0, value);
      done(std::move(status));
    });
  }
};

class Throws final : public Kernel {
  absl::Status compute(KernelContext&) override { throw std::runtime_error("by intent"); }
};
class OutOfMemory final : public Kernel {
  absl::Status compute(KernelContext&) override { throw std::bad_alloc(); }
};
class Forgets final : public Kernel {
  absl::Status compute(KernelContext&) override { return absl::OkStatus(); }
};

const Registry& test_ops() {
  static const Registry* const registry = [] {
    auto* r = new Registry;
    register_all_ops(*r);
    r->op("TestPush").input("x: float").stateful().shape(no_outputs).cpu<Push>();
    r->op("TestPop").output("y: float").stateful().shape(scalar_shape).cpu<Pop>();
    r->op("TestThrow").output("y: float").stateful().shape(scalar_shape).cpu<Throws>();
    r->op("TestOutOfMemory").output("y: float").stateful().shape(scalar_shape).cpu<OutOfMemory>();
    r->op("TestForget").output("y: float").stateful().shape(scalar_shape).cpu<Forgets>();
    return r;
  }();
  return *registry;
}

SessionCoreOptions with_inter_op(int threads) {
  SessionCoreOptions options;
  options.runtime.inter_op_parallelism_threads = threads;
  return options;
}

// --- asynchronous kernels

TEST(Schedule, dequeue_and_enqueue_in_one_run_on_an_empty_queue) {
  for (const int threads : {0, 1, 4}) {
    TestGraph g(test_ops());
    const Output pop = g.op("TestPop");
    Node* push = g.node("TestPush", {g.constant(Tensor(5.0f))});
    const auto values = run_all(*g.session(with_inter_op(threads)), {pop}, {}, {push});
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0].scalar<float>(), 5);
  }
}

TEST(Schedule, another_run_completes_a_waiting_one) {
  TestGraph g(test_ops());
  const Output y = g.op("Neg", {g.op("TestPop")});
  Node* push = g.node("TestPush", {g.constant(Tensor(5.0f))});
  const auto session = g.session();
  absl::StatusOr<float> got = 0.0f;
  std::thread waiting([&] { got = run_scalar<float>(*session, y); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(run_all(*session, {}, {}, {push}).ok());
  waiting.join();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, -5);
}

TEST(Schedule, many_producers_and_consumers) {
  TestGraph g(test_ops());
  const Output pop = g.op("TestPop");
  const Output x = g.placeholder(float32, PartialTensorShape::scalar());
  Node* push = g.node("TestPush", {x});
  const auto session = g.session();
  constexpr int kThreads = 4, kEach = 50;
  std::atomic<int> sum{0}, errors{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        const auto value = run_scalar<float>(*session, pop);
        if (value.ok()) sum += static_cast<int>(*value);
        else ++errors;
      }
    });
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        if (!run_all(*session, {}, {{x, Tensor(1.0f)}}, {push}).ok()) ++errors;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(sum, kThreads * kEach);
}

TEST(Schedule, close_ends_waits) {
  TestGraph g(test_ops());
  const Output pop = g.op("TestPop", {}, {}, "deq");
  const auto session = g.session();
  absl::Status status;
  std::thread waiting([&] { status = run_all(*session, {pop}).status(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto begin = std::chrono::steady_clock::now();
  session->close();
  waiting.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(message(status), HasSubstr("Dequeue operation was cancelled\n\t [[{{node deq}}]]"));
}

TEST(Schedule, timeouts_end_waits) {
  TestGraph g(test_ops());
  const Output pop = g.op("TestPop");
  const auto session = g.session();
  const absl::Status status = run_all(*session, {pop}, {}, {}, /*timeout_in_ms=*/30).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  SessionCoreOptions options;
  options.operation_timeout_in_ms = 30;
  EXPECT_EQ(run_all(*g.session(options), {pop}).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Schedule, first_error_cancels_the_rest_of_the_step) {
  TestGraph g(test_ops());
  const Output pop = g.op("TestPop");
  Node* fails = g.node("Assert", {g.constant(Tensor(false)), std::vector<Output>{g.constant(Tensor("first"))}});
  for (const int threads : {1, 3}) {
    const absl::Status status = run_all(*g.session(with_inter_op(threads)), {pop}, {}, {fails}).status();
    EXPECT_THAT(message(status), HasSubstr("assertion failed: [first]"));
  }
}

TEST(Schedule, exceptions_of_kernels_become_errors) {
  TestGraph g(test_ops());
  const auto session = g.session();
  EXPECT_EQ(run_all(*session, {g.op("TestThrow")}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(run_all(*session, {g.op("TestOutOfMemory")}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(message(run_all(*session, {g.op("TestForget")})), HasSubstr("Missing 0-th output"));
  // The same beside an asynchronous kernel.
  const Output pop = g.op("TestPop");
  EXPECT_EQ(run_all(*session, {g.op("TestThrow"), pop}).status().code(), absl::StatusCode::kInternal);
}

TEST(Schedule, independent_branches_give_the_same_side_by_side) {
  TestGraph g(test_ops());
  const Output x = g.placeholder(float32);
  Output sum = x;
  std::vector<Output> branches;
  for (int i = 0; i < 20; ++i) {
    Output b = x;
    for (int k = 0; k < 5; ++k) b = g.op("AddV2", {b, g.constant(Tensor(static_cast<float>(i)))});
    branches.push_back(b);
  }
  for (const Output& b : branches) sum = g.op("AddV2", {sum, b});
  for (const int threads : {1, 4}) {
    const auto session = g.session(with_inter_op(threads));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(*run_scalar<float>(*session, sum, {{x, Tensor(1.0f)}}), 21 + 5 * 190);
  }
}

// --- dynamic control flow

struct Cond {
  Output pred, x, merged, index;
};

// x is doubled where pred holds, else negated.
Cond make_cond(TestGraph& g) {
  Cond c;
  c.pred = g.placeholder(bool_, PartialTensorShape::scalar(), "pred");
  c.x = g.placeholder(float32);
  Node* sw = g.node("Switch", {c.x, c.pred});
  const Output no = g.op("Neg", {Output(sw, 0)}), yes = g.op("AddV2", {Output(sw, 1), Output(sw, 1)});
  Node* merge = g.node("Merge", {std::vector<Output>{no, yes}});
  c.merged = {merge, 0};
  c.index = {merge, 1};
  return c;
}

TEST(Schedule, switch_and_merge_choose_a_branch) {
  TestGraph g(test_ops());
  const Cond c = make_cond(g);
  const auto session = g.session();
  for (const bool pred : {false, true, false}) {
    const auto values = run_all(*session, {c.merged, c.index}, {{c.pred, Tensor(pred)}, {c.x, Tensor(3.0f)}});
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ((*values)[0].scalar<float>(), pred ? 6 : -3);
    EXPECT_EQ((*values)[1].scalar<int32_t>(), pred ? 1 : 0);
  }
}

TEST(Schedule, fetching_a_dead_value_is_an_error) {
  TestGraph g(test_ops());
  const Output pred = g.placeholder(bool_, PartialTensorShape::scalar(), "pred");
  Node* sw = g.node("Switch", {g.constant(Tensor(1.0f)), pred});
  const Output taken = g.op("Neg", {Output(sw, 1)});
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, taken, {{pred, Tensor(true)}}), -1);
  EXPECT_THAT(message(run_all(*session, {taken}, {{pred, Tensor(false)}})), HasSubstr("Retval[0] does not have value"));
}

TEST(Schedule, untaken_branches_have_no_effects) {
  TestGraph g(test_ops());
  const Output pred = g.placeholder(bool_, PartialTensorShape::scalar(), "pred");
  Node* sw = g.node("Switch", {g.constant(Tensor(1.0f)), pred});
  const Output pivot = g.op("Identity", {Output(sw, 1)});
  Node* fails = g.node("Assert", {g.constant(Tensor(false)), std::vector<Output>{pivot}}, {}, "bad", {pivot.node()});
  Node* merge =
      g.node("Merge", {std::vector<Output>{Output(sw, 0), g.op("Identity", {Output(sw, 1)}, {}, "after", {fails})}});
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, {merge, 0}, {{pred, Tensor(false)}}), 1);
  EXPECT_FALSE(run_all(*session, {{merge, 0}}, {{pred, Tensor(true)}}).ok());
}

// while (i < limit) { i += 1; x = body(x); }; `around` runs inside the loop's frame.
struct Loop {
  Output exit_i, exit_x;
};
Loop make_loop(TestGraph& g, const Output& i0, const Output& x0, const Output& limit, const std::string& frame,
               int parallel, const std::function<Output(const Output& x)>& body) {
  const auto enter = [&](const Output& v, bool constant) {
    return g.op("Enter", {v}, {{"frame_name", frame}, {"is_constant", constant}, {"parallel_iterations", parallel}});
  };
  const Output enter_i = enter(i0, false), enter_x = enter(x0, false), enter_limit = enter(limit, true);
  const auto merge = [&](const Output& v) {
    NodeSpec spec;
    spec.type = "Merge";
    spec.name = g.graph->unique_name("Merge");
    spec.inputs = {v, Output()};
    spec.attrs = {{"T", base_dtype(v.dtype())}, {"N", 2}};
    return *g.graph->add_node(std::move(spec));
  };
  Node* merge_i = merge(enter_i);
  Node* merge_x = merge(enter_x);
  const Output cond = g.op("LoopCond", {g.op("Less", {Output(merge_i, 0), enter_limit})});
  Node* switch_i = g.node("Switch", {Output(merge_i, 0), cond});
  Node* switch_x = g.node("Switch", {Output(merge_x, 0), cond});
  const Output one = g.op("Const", {}, {{"value", Tensor(int32_t{1})}, {"dtype", int32}}, "one",
                          {g.node("Identity", {Output(switch_i, 1)})});
  const Output next_i = g.op("NextIteration", {g.op("AddV2", {Output(switch_i, 1), one})});
  const Output next_x = g.op("NextIteration", {body(Output(switch_x, 1))});
  EXPECT_TRUE(g.graph->set_input(merge_i, 1, next_i).ok());
  EXPECT_TRUE(g.graph->set_input(merge_x, 1, next_x).ok());
  return {g.op("Exit", {Output(switch_i, 0)}), g.op("Exit", {Output(switch_x, 0)})};
}

TEST(Schedule, loops_run_until_their_condition_fails) {
  for (const int parallel : {1, 2, 10}) {
    TestGraph g(test_ops());
    const Output limit = g.placeholder(int32, PartialTensorShape::scalar(), "limit");
    const Loop loop = make_loop(g, g.constant(Tensor(int32_t{0})), g.constant(Tensor(1.0f)), limit, "loop", parallel,
                                [&](const Output& x) {
                                  return g.op("AddV2", {x, x});
                                });
    const auto session = g.session();
    for (const int n : {0, 1, 5, 20}) {
      const auto values = run_all(*session, {loop.exit_i, loop.exit_x}, {{limit, Tensor(n)}});
      ASSERT_TRUE(values.ok()) << values.status();
      EXPECT_EQ((*values)[0].scalar<int32_t>(), n);
      EXPECT_EQ((*values)[1].scalar<float>(), std::ldexp(1.0f, n));
    }
  }
}

TEST(Schedule, long_loops_take_no_more_room) {
  TestGraph g(test_ops());
  const Loop loop =
      make_loop(g, g.constant(Tensor(int32_t{0})), g.constant(Tensor(0.0f)), g.constant(Tensor(int32_t{20000})), "loop",
                10, [&](const Output& x) { return g.op("Neg", {x}); });
  const auto i = run_scalar<int32_t>(*g.session(), loop.exit_i);
  ASSERT_TRUE(i.ok()) << i.status();
  EXPECT_EQ(*i, 20000);
}

TEST(Schedule, loops_nest) {
  for (const int parallel : {1, 10}) {
    TestGraph g(test_ops());
    const Output zero = g.constant(Tensor(int32_t{0})), inner_limit = g.constant(Tensor(int32_t{3}));
    const auto into = [&](const Output& v) {
      return g.op("Enter", {v}, {{"frame_name", "outer"}, {"is_constant", true}, {"parallel_iterations", parallel}});
    };
    const Output zero_inside = into(zero), limit_inside = into(inner_limit);
    const Loop outer = make_loop(g, zero, g.constant(Tensor(1.0f)), g.constant(Tensor(int32_t{4})), "outer", parallel,
                                 [&](const Output& x) {
                                   return make_loop(g, zero_inside, x, limit_inside, "outer/inner", parallel,
                                                    [&](const Output& y) {
                                                      return g.op("AddV2", {y, y});
                                                    })
                                       .exit_x;
                                 });
    const auto x = run_scalar<float>(*g.session(), outer.exit_x);
    ASSERT_TRUE(x.ok()) << x.status();
    EXPECT_EQ(*x, 4096);
  }
}

TEST(Schedule, a_loop_in_an_untaken_branch_is_dead_as_a_whole) {
  TestGraph g(test_ops());
  const Output pred = g.placeholder(bool_, PartialTensorShape::scalar(), "pred");
  Node* sw = g.node("Switch", {g.constant(Tensor(1.0f)), pred});
  Node* sw_i = g.node("Switch", {g.constant(Tensor(int32_t{0})), pred});
  Node* sw_limit = g.node("Switch", {g.constant(Tensor(int32_t{3})), pred});
  const Loop loop = make_loop(g, Output(sw_i, 1), Output(sw, 1), Output(sw_limit, 1), "loop", 10, [&](const Output& x) {
    return g.op("AddV2", {x, x});
  });
  Node* merge = g.node("Merge", {std::vector<Output>{Output(sw, 0), loop.exit_x}});
  const auto session = g.session();
  for (const bool p : {true, false, true}) {
    const auto x = run_scalar<float>(*session, {merge, 0}, {{pred, Tensor(p)}});
    ASSERT_TRUE(x.ok()) << x.status();
    EXPECT_EQ(*x, p ? 8 : 1);
  }
}

TEST(Schedule, asynchronous_kernels_in_loops) {
  TestGraph g(test_ops());
  const Loop loop = make_loop(g, g.constant(Tensor(int32_t{0})), g.constant(Tensor(0.0f)),
                              g.constant(Tensor(int32_t{5})), "loop", 10, [&](const Output& x) {
                                Node* push = g.node("TestPush", {x});
                                const Output popped = g.op("TestPop", {}, {}, "pop", {push});
                                return g.op("AddV2", {x, popped});
                              });
  const auto x = run_scalar<float>(*g.session(), loop.exit_x);
  ASSERT_TRUE(x.ok()) << x.status();
  EXPECT_EQ(*x, 0);
}

TEST(Schedule, errors_in_loops_end_the_step) {
  TestGraph g(test_ops());
  const Loop loop = make_loop(g, g.constant(Tensor(int32_t{0})), g.constant(Tensor(0.0f)),
                              g.constant(Tensor(int32_t{5})), "loop", 10, [&](const Output& x) {
                                return g.op("AddV2", {x, g.op("TestThrow", {}, {}, "t", {x.node()})});
                              });
  EXPECT_EQ(run_all(*g.session(), {loop.exit_x}).status().code(), absl::StatusCode::kInternal);
}

TEST(Schedule, values_inside_loops_cannot_be_fetched) {
  TestGraph g(test_ops());
  Output inside;
  const Loop loop =
      make_loop(g, g.constant(Tensor(int32_t{0})), g.constant(Tensor(0.0f)), g.constant(Tensor(int32_t{5})), "loop", 10,
                [&](const Output& x) { return inside = g.op("Neg", {x}); });
  EXPECT_THAT(message(run_all(*g.session(), {inside, loop.exit_x})), HasSubstr("not fetchable"));
}

TEST(Schedule, ops_may_not_mix_frames) {
  TestGraph g(test_ops());
  const Output x = g.placeholder(float32);
  const Output inside = g.op("Enter", {g.op("Neg", {x})}, {{"frame_name", "f"}});
  const Output mixed = g.op("AddV2", {inside, g.op("Square", {x})});
  const Output out = g.op("Exit", {mixed});
  EXPECT_THAT(message(run_all(*g.session(), {out}, {{x, Tensor(1.0f)}})),
              HasSubstr("has inputs from different frames"));
}

}  // namespace
}  // namespace millrace
