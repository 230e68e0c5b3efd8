#include "runtime/session.h"

#include <atomic>
#include <barrier>
#include <filesystem>
#include <latch>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/errors.h"
#include "gmock/gmock.h"
#include "kernels/team.h"
#include "runtime/run_metadata.h"
#include "runtime/testing_graph.h"
#include "runtime/timeline.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Session, computes_what_is_fetched) {
  TestGraph g;
  const Output x = g.placeholder(float32, {2});
  const Output y = g.op("Mul", {x, g.constant(Tensor(3.0f))});
  const auto session = g.session();
  const auto values = run_all(*session, {y}, {{x, Tensor(std::vector<float>{1, 2})}});
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_THAT((*values)[0].to_vector<float>(), ElementsAre(3, 6));
}

TEST(Session, fetches_the_same_tensor_twice_and_what_is_fed) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output y = g.op("Neg", {x});
  const auto session = g.session();
  const auto values = run_all(*session, {y, x, y}, {{x, Tensor(2.0f)}});
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ((*values)[0].scalar<float>(), -2);
  EXPECT_EQ((*values)[1].scalar<float>(), 2);
  EXPECT_EQ((*values)[2].scalar<float>(), -2);
}

TEST(Session, feeds_replace_any_tensor) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output y = g.op("Neg", {x});
  const Output z = g.op("Neg", {y});
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, z, {{y, Tensor(7.0f)}}), -7);  // x needs no value
}

TEST(Session, feeds_replace_references) {
  TestGraph g;
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  const Output read = g.op("Identity", {v});
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, read, {{v, Tensor(1.5f)}}), 1.5f);
}

TEST(Session, runs_programs_of_growing_graphs) {
  TestGraph g;
  const Output a = g.constant(Tensor(1.0f));
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, a), 1);
  const Output b = g.op("Neg", {a});
  EXPECT_EQ(*run_scalar<float>(*session, b), -1);
}

struct ErrorCase {
  const char* name;
  std::function<absl::Status(TestGraph&)> run;
  absl::StatusCode code;
  const char* text;
};

class SessionErrors : public testing::TestWithParam<ErrorCase> {};

TEST_P(SessionErrors, say_what_is_wrong) {
  TestGraph g;
  const absl::Status status = GetParam().run(g);
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_THAT(message(status), HasSubstr(GetParam().text));
}

absl::Status fed(TestGraph& g, const Output& x, const Tensor& value) {
  const Output y = g.op("Identity", {x});
  return run_all(*g.session(), {y}, {{x, value}}).status();
}

INSTANTIATE_TEST_SUITE_P(
    All, SessionErrors,
    testing::ValuesIn(std::vector<ErrorCase>{
        {"unfed_placeholder",
         [](TestGraph& g) {
           return run_all(*g.session(), {g.op("Neg", {g.placeholder(float32, {2, -1})})}).status();
         },
         absl::StatusCode::kInvalidArgument,
         "You must feed a value for placeholder tensor 'x' with dtype float and shape [2,?]\n\t [[{{node x}}]]"},
        {"fed_shape",
         [](TestGraph& g) {
           return fed(g, g.placeholder(float32, {2, -1}), Tensor(float32, {3, 3}));
         },
         absl::StatusCode::kInvalidArgument,
         "Cannot feed value of shape (3, 3) for Tensor 'x:0', which has shape '(2, ?)'"},
        {"fed_dtype", [](TestGraph& g) { return fed(g, g.placeholder(float32), Tensor(1.0)); },
         absl::StatusCode::kInvalidArgument, "to be float but double is provided"},
        {"uninitialized_read",
         [](TestGraph& g) {
           return run_all(*g.session(), {g.op("Identity", {g.variable(float32, {2})}, {}, "v/read")}).status();
         },
         absl::StatusCode::kFailedPrecondition, "Attempting to use uninitialized value v\n\t [[{{node v/read}}]]"},
        {"uninitialized_fetch", [](TestGraph& g) { return run_all(*g.session(), {g.variable(float32, {2})}).status(); },
         absl::StatusCode::kFailedPrecondition,
         "Attempting to use uninitialized value v\n\t [[{{node _retval_v_0_0}}]]"},
        {"uninitialized_update",
         [](TestGraph& g) {
           return run_all(*g.session(), {g.op("AssignAdd", {g.variable(float32, PartialTensorShape::scalar()),
                                                            g.constant(Tensor(1.0f))})})
               .status();
         },
         absl::StatusCode::kFailedPrecondition, "Attempting to use uninitialized value v"},
        {"nothing_to_do", [](TestGraph& g) { return run_all(*g.session(), {}).status(); },
         absl::StatusCode::kInvalidArgument, "Must specify at least one target to fetch or execute."},
        {"fed_twice",
         [](TestGraph& g) {
           const Output x = g.placeholder(float32);
           return run_all(*g.session(), {x}, {{x, Tensor(1.0f)}, {x, Tensor(1.0f)}}).status();
         },
         absl::StatusCode::kInvalidArgument, "fed more than once"},
        {"other_graph",
         [](TestGraph& g) {
           TestGraph other;
           return run_all(*g.session(), {other.constant(Tensor(1.0f))}).status();
         },
         absl::StatusCode::kInvalidArgument, "is not an element of this graph"},
        {"no_such_output",
         [](TestGraph& g) { return run_all(*g.session(), {Output(g.placeholder(float32).node(), 1)}).status(); },
         absl::StatusCode::kInvalidArgument, "exists but only has 1 outputs"},
        {"fed_values_break_the_contract",
         [](TestGraph& g) {
           const Output a = g.placeholder(float32, {}, "a"), b = g.placeholder(float32, {}, "b");
           return run_all(*g.session(), {g.op("MatMul", {a, b})},
                          {{a, Tensor(float32, {2, 3})}, {b, Tensor(float32, {4, 5})}})
               .status();
         },
         absl::StatusCode::kInvalidArgument, "[[{{node MatMul}}]] MatMul(float[2,3], float[4,5]) created at test.cc:1"},
        {"gpu",
         [](TestGraph& g) {
           const Output x = g.constant(Tensor(1.0f));
           g.graph->set_device(x.node(), "/gpu:0");
           return run_all(*g.session(), {x}).status();
         },
         absl::StatusCode::kInvalidArgument,
         "Cannot assign a device for operation Const: {{node Const}} was explicitly assigned to /device:GPU:0 but "
         "available devices are [ /job:localhost/replica:0/task:0/device:CPU:0 ]"},
        {"assertion",
         [](TestGraph& g) {
           return run_all(*g.session(), {}, {},
                          {g.node("Assert", {g.constant(Tensor(false)),
                                             std::vector<Output>{g.constant(Tensor(std::vector<int32_t>{1, 2}))}})})
               .status();
         },
         absl::StatusCode::kInvalidArgument, "assertion failed: [1 2]"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(Session, errors_carry_node_device_and_source) {
  TestGraph g;
  const Output y = g.op("Identity", {g.variable(float32, {2})}, {}, "v/read");
  const errors::Where where = where_of(run_all(*g.session(), {y}).status());
  EXPECT_EQ(where.node_name, "v/read");
  EXPECT_EQ(where.op_type, "Identity");
  EXPECT_EQ(where.device, "/job:localhost/replica:0/task:0/device:CPU:0");
  EXPECT_EQ(where.source, "test.cc:1");
}

TEST(Session, goes_on_after_an_error) {
  TestGraph g;
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  const Output read = g.op("Identity", {v});
  const Output assign = g.op("Assign", {v, g.constant(Tensor(4.0f))});
  const auto session = g.session();
  EXPECT_FALSE(run_scalar<float>(*session, read).ok());
  ASSERT_TRUE(run_all(*session, {}, {}, {assign.node()}).ok());
  EXPECT_EQ(*run_scalar<float>(*session, read), 4);
}

TEST(Session, soft_placement_falls_back_to_the_cpu) {
  TestGraph g;
  const Output x = g.constant(Tensor(1.0f));
  g.graph->set_device(x.node(), "/gpu:0");
  SessionCoreOptions options;
  options.runtime.allow_soft_placement = true;
  EXPECT_EQ(*run_scalar<float>(*g.session(options), x), 1);
}

TEST(Session, several_cpu_devices) {
  TestGraph g;
  const Output x = g.op("Neg", {g.constant(Tensor(1.0f))});
  g.graph->set_device(x.node(), "/cpu:1");
  EXPECT_FALSE(run_all(*g.session(), {x}).ok());
  EXPECT_EQ(*run_scalar<float>(*g.session({.runtime = {}, .num_cpu_devices = 2}), x), -1);
}

// --- variables

TEST(Session, long_chains_of_identities_compile_in_linear_time) {
  TestGraph g;
  Output x = g.placeholder(float32, PartialTensorShape::scalar());
  const Output first = x;
  std::vector<Output> fetches;
  for (int i = 0; i < 50'000; ++i) {
    NodeSpec spec;
    spec.type = "Identity";
    spec.name = str_cat("i", i);
    spec.inputs = {x};
    spec.attrs["T"] = DataType::kFloat;
    x = Output(*g.graph->add_node(std::move(spec)), 0);
  }
  const auto start = std::chrono::steady_clock::now();
  const auto got = run_all(*g.session(), {x}, {{first, Tensor(3.0f)}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)[0].scalar<float>(), 3.0f);
  // A walk of the whole chain from every node took minutes under sanitizers.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Session, sees_variables_before_the_updates_of_the_same_run) {
  TestGraph g;
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  const Output init = g.op("Assign", {v, g.constant(Tensor(1.0f))});
  const Output update = g.op("AssignAdd", {v, g.constant(Tensor(10.0f))});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {init.node()}).ok());
  const auto values = run_all(*session, {v}, {}, {update.node()});
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ((*values)[0].scalar<float>(), 1);
  EXPECT_EQ(*run_scalar<float>(*session, v), 11);
}

TEST(Session, updates_in_place_once_readers_have_gone) {
  TestGraph g;
  const Output v = g.variable(float32, {1000});
  const Output init = g.op("Assign", {v, g.constant(Tensor(float32, {1000}))});
  const Output read = g.op("Identity", {v});
  // The update needs what was read: its reader must have let go of the buffer before.
  const Output delta = g.op("Mul", {read, g.constant(Tensor(0.5f))});
  const Output update = g.op("AssignAdd", {v, delta});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {init.node()}).ok());
  const auto address = [&] { return (*run_all(*session, {read}))[0].raw_data(); };
  ASSERT_TRUE(run_all(*session, {}, {}, {update.node()}).ok());  // leaves the constant's buffer
  const void* before = address();
  ASSERT_TRUE(run_all(*session, {}, {}, {update.node()}).ok());
  EXPECT_EQ(address(), before);
}

TEST(Session, a_fetched_value_does_not_change_later) {
  TestGraph g;
  const Output v = g.variable(float32, {2});
  const Output init = g.op("Assign", {v, g.constant(Tensor(std::vector<float>{1, 2}))});
  const Output update = g.op("AssignAdd", {v, g.constant(Tensor(std::vector<float>{1, 1}))});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {init.node()}).ok());
  const auto values = run_all(*session, {v});
  ASSERT_TRUE(run_all(*session, {}, {}, {update.node()}).ok());
  EXPECT_THAT((*values)[0].to_vector<float>(), ElementsAre(1, 2));
}

TEST(Session, sessions_do_not_share_variables) {
  TestGraph g;
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  const Output init = g.op("Assign", {v, g.constant(Tensor(1.0f))});
  const auto a = g.session(), b = g.session();
  ASSERT_TRUE(run_all(*a, {}, {}, {init.node()}).ok());
  EXPECT_TRUE(run_all(*a, {v}).ok());
  EXPECT_FALSE(run_all(*b, {v}).ok());
}

// --- callables, tracing

TEST(Session, callables_run_the_same_program) {
  TestGraph g;
  const Output x = g.placeholder(float32, PartialTensorShape::scalar());
  const Output y = g.op("Square", {x});
  const auto session = g.session();
  const auto callable = session->make_callable({{x}}, {{y}}, {});
  ASSERT_TRUE(callable.ok()) << callable.status();
  std::vector<Tensor> out;
  for (int i = 0; i < 5; ++i) {
    const Tensor feed[] = {Tensor(static_cast<float>(i))};
    ASSERT_TRUE((*callable)->run(feed, &out).ok());
    EXPECT_EQ(out[0].scalar<float>(), static_cast<float>(i * i));
  }
  const Tensor wrong[] = {Tensor(float32, {3})};
  EXPECT_THAT(message((*callable)->run(wrong, &out)), HasSubstr("Cannot feed value of shape (3,)"));
  EXPECT_THAT(message((*callable)->run({}, &out)), HasSubstr("takes 1 values"));
}

TEST(Session, traces_what_ran_and_when) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output y = g.op("Neg", {g.op("Square", {x}, {}, "sq")}, {}, "y");
  SessionCoreOptions options;
  options.runtime.fusion = false;  // each op for itself
  const auto session = g.session(options);
  std::vector<Tensor> values;
  RunReport report;
  const Feeds feeds = {{x, Tensor(2.0f)}};
  const Output fetch[] = {y};
  ASSERT_TRUE(
      session->run({.feeds = feeds, .fetches = fetch, .trace = true, .output_partition_graphs = true}, &values, &report)
          .ok());
  ASSERT_EQ(report.nodes.size(), 2u);
  EXPECT_EQ(report.nodes[0].node_name, "sq");
  EXPECT_EQ(report.nodes[1].node_name, "y");
  EXPECT_LE(report.nodes[0].end_nanos, report.nodes[1].end_nanos);
  ASSERT_EQ(report.partition_graphs.size(), 1u);
  EXPECT_EQ(report.nodes[1].label, "y = Neg(sq)");
  EXPECT_THAT(timeline_json(report.nodes), HasSubstr("\"name\": \"Square\""));
  tensorflow::RunMetadata metadata;
  to_proto(report, &metadata);
  EXPECT_EQ(timeline_json(node_stats(metadata)), timeline_json(report.nodes));
}

NodeStats traced(const char* name, const char* label, uint32_t thread, int64_t start, int64_t end, int64_t bytes) {
  NodeStats n{.node_name = name,
              .label = label,
              .device = "cpu",
              .start_nanos = start,
              .end_nanos = end,
              .thread = thread,
              .outputs = {}};
  n.outputs.push_back({.dtype = float32, .shape = TensorShape({bytes / 4}), .bytes = bytes});
  return n;
}

TEST(Timeline, arrows_between_threads_and_tensors_until_their_last_reader) {
  const std::vector<NodeStats> nodes = {traced("a", "a = Const()", 1, 1000, 2000, 8),
                                        traced("b", "b = Neg(a)", 1, 3000, 4000, 16),
                                        traced("c", "c = Add(a, b)", 2, 5000, 6000, 4)};
  const std::string json = timeline_json(nodes, {.show_memory = true});
  const auto parsed = nlohmann::json::parse(json);
  std::vector<std::string> arrows, objects;
  std::vector<int> bytes;
  for (const auto& event : parsed["traceEvents"]) {
    if (event["ph"] == "s") arrows.push_back(event["name"]);
    if (event["ph"] == "D") objects.push_back(event["name"].get<std::string>() + " " + event["ts"].dump());
    if (event["ph"] == "C") bytes.push_back(event["args"]["cpu"]);
  }
  EXPECT_THAT(arrows, ElementsAre("a", "b"));  // to c, on another thread
  EXPECT_THAT(objects, ElementsAre("a 6.0", "b 6.0", "c 6.0"));
  EXPECT_THAT(bytes, ElementsAre(8, 24, 28, 0));
  EXPECT_THAT(json, HasSubstr("float [2], 8 bytes"));
  const std::string bare = timeline_json(nodes, {.show_dataflow = false});
  EXPECT_THAT(bare, testing::Not(testing::AnyOf(HasSubstr("DataFlow"), HasSubstr("Memory"), HasSubstr("Tensors"))));
}

// --- many at once

TEST(Session, concurrent_runs_of_several_signatures) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output y = g.op("Square", {x}), z = g.op("Neg", {y});
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  const Output init = g.op("Assign", {v, g.constant(Tensor(0.0f))});
  const Output add = g.op("AssignAdd", {v, g.constant(Tensor(1.0f))}, {{"use_locking", true}});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {init.node()}).ok());
  constexpr int kThreads = 4, kRuns = 100;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRuns; ++i) {
        const auto value = static_cast<float>(t * 1000 + i);
        const Output fetch = t % 2 ? y : z;
        const auto got = run_all(*session, {fetch}, {{x, Tensor(value)}}, {add.node()});
        if (!got.ok() || (*got)[0].scalar<float>() != (t % 2 ? value * value : -value * value)) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(*run_scalar<float>(*session, v), kThreads * kRuns);
}

int count_threads() {
  int count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

TEST(Session, steps_side_by_side_share_the_compute_threads) {
#ifndef _OPENMP
  GTEST_SKIP() << "built without OpenMP: there are no teams to share";
#endif
  TestGraph g;
  constexpr int64_t kSize = 256;
  const Output x = g.placeholder(float32, {kSize, kSize});
  const Output y = g.op("Tanh", {g.op("MatMul", {g.op("MatMul", {x, x}), x})});
  const Output sum = g.op("Sum", {y, g.constant(Tensor(int32_t{0}))});
  std::vector<float> values(kSize * kSize);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 1009) / 100000;
  const Feeds feeds = {{x, Tensor({kSize, kSize}, values)}};
  SessionCoreOptions options;
  options.runtime.intra_op_parallelism_threads = 4;
  const auto bits = [](const Tensor& t) { return t.to_vector<float>(); };
  const std::vector<float> expected = bits((*run_all(*g.session(options), {sum}, feeds))[0]);

  constexpr int kCallers = 16, kSessions = 4;
  std::vector<std::shared_ptr<SessionCore>> sessions;
  for (int i = 0; i < kSessions; ++i) sessions.push_back(g.session(options));
  const int before = count_threads();
  int during = 0;
  std::barrier together(kCallers);
  std::atomic<int> different{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < kCallers; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const auto got = run_all(*sessions[static_cast<size_t>(t % kSessions)], {sum}, feeds);
        if (!got.ok() || bits((*got)[0]) != expected) ++different;
      }
      together.arrive_and_wait();
      if (t == 0) during = count_threads();
      together.arrive_and_wait();
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(different, 0);
  EXPECT_LE(during - before - kCallers, (kOwnTeams + 1) * 3 + 1);  // see kernels/team.h
}

// As in TF1, where moving averages run behind the train op's control dependency and read what it left.
TEST(Session, readers_behind_an_update_see_the_new_value) {
  TestGraph g;
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  const Output init = g.op("Assign", {v, g.constant(Tensor(1.0f))});
  const Output read = g.op("Identity", {v});
  const Output update = g.op("AssignAdd", {v, g.constant(Tensor(10.0f))});
  const Output before = g.op("Neg", {read});
  const Output behind = g.op("Mul", {read, read}, {}, "behind", {update.node()});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {init}).ok());
  const auto got = run_all(*session, {before, behind});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)[0].scalar<float>(), -1);
  EXPECT_EQ((*got)[1].scalar<float>(), 121);
}

TEST(Session, close_is_final) {
  TestGraph g;
  const Output x = g.constant(Tensor(1.0f));
  const auto session = g.session();
  const auto callable = session->make_callable({}, {{x}}, {});
  session->close();
  session->close();
  EXPECT_EQ(run_all(*session, {x}).status().code(), absl::StatusCode::kCancelled);
  std::vector<Tensor> out;
  EXPECT_EQ((*callable)->run({}, &out).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace millrace
