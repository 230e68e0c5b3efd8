#include "cli/run.h"

#include <filesystem>

#include "cli/graph_file.h"
#include "gmock/gmock.h"
#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "gtest/gtest.h"
#include "io/file_system.h"
#include "io/record_writer.h"
#include "nlohmann/json.hpp"
#include "tensor/tensor.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/framework/variable.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace millrace {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// total += x, from an initial value of 10.
constexpr const char* kCounter = R"pb(
  graph_def {
    node {
      name: "x"
      op: "Placeholder"
      attr {
        key: "dtype"
        value { type: DT_FLOAT }
      }
      attr {
        key: "shape"
        value { shape {} }
      }
    }
    node {
      name: "ten"
      op: "Const"
      attr {
        key: "dtype"
        value { type: DT_FLOAT }
      }
      attr {
        key: "value"
        value {
          tensor {
            dtype: DT_FLOAT
            tensor_shape {}
            float_val: 10
          }
        }
      }
    }
    node {
      name: "total"
      op: "VariableV2"
      attr {
        key: "dtype"
        value { type: DT_FLOAT }
      }
      attr {
        key: "shape"
        value { shape {} }
      }
    }
    node {
      name: "total/Assign"
      op: "Assign"
      input: "total"
      input: "ten"
      attr {
        key: "T"
        value { type: DT_FLOAT }
      }
    }
    node {
      name: "total/read"
      op: "Identity"
      input: "total"
      attr {
        key: "T"
        value { type: DT_FLOAT }
      }
    }
    node {
      name: "add"
      op: "AssignAdd"
      input: "total"
      input: "x"
      attr {
        key: "T"
        value { type: DT_FLOAT }
      }
    }
    node {
      name: "twice"
      op: "AddV2"
      input: "total/read"
      input: "total/read"
      attr {
        key: "T"
        value { type: DT_FLOAT }
      }
    }
    versions { producer: 1087 }
  }
  collection_def {
    key: "bench_train_op"
    value { node_list { value: "add" } }
  })pb";

class RunCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "run_command_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    ASSERT_TRUE(parse_text_proto(kCounter, &meta_, "counter").ok());
    tensorflow::VariableDef variable;
    variable.set_variable_name("total:0");
    variable.set_initial_value_name("ten:0");
    variable.set_initializer_name("total/Assign");
    variable.set_snapshot_name("total/read:0");
    (*meta_.mutable_collection_def())["variables"].mutable_bytes_list()->add_value(variable.SerializeAsString());
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write_meta() const {
    EXPECT_TRUE(write_file(path("a.meta"), meta_.SerializeAsString()).ok());
    return path("a.meta");
  }
  std::string write_feeds(float x, const std::string& name = "x") const {
    tensorflow::TensorProto proto;
    EXPECT_TRUE(to_proto(Tensor(x), &proto).ok());
    tensorflow::Example example;
    (*example.mutable_features()->mutable_feature())[name].mutable_bytes_list()->add_value(proto.SerializeAsString());
    auto writer = RecordWriter::create(path("a.feeds"));
    EXPECT_TRUE(writer.ok() && (*writer)->write(example.SerializeAsString()).ok() && (*writer)->close().ok());
    return path("a.feeds");
  }

  // Runs the command; its exit code, and what it printed.
  int run(const RunCommandOptions& options) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_command(options);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }

  std::string folder_, out_, err_;
  tensorflow::MetaGraphDef meta_;
};

TEST_F(RunCommand, runs_the_targets_exactly_as_often_as_told) {
  const std::string meta = write_meta(), feeds = write_feeds(3);
  for (const int64_t steps : {0, 1, 7}) {
    ASSERT_EQ(run({.meta = meta, .feeds = feeds, .fetches = {"total:0", "twice:0"}, .steps = steps, .json = true}), 0)
        << err_;
    const double total = 10 + 3 * static_cast<double>(steps);
    EXPECT_EQ(nlohmann::json::parse(out_),
              (nlohmann::json{{"fetches", {{"total:0", total}, {"twice:0", 2 * total}}}, {"steps", steps}}));
  }
}

TEST_F(RunCommand, measures_after_the_fetch) {
  ASSERT_EQ(run({.meta = write_meta(),
                 .feeds = write_feeds(1),
                 .fetches = {"total:0"},
                 .steps = 2,
                 .time = true,
                 .json = true}),
            0)
      << err_;
  const nlohmann::json result = nlohmann::json::parse(out_);
  EXPECT_EQ(result["fetches"]["total:0"], 12.0);
  EXPECT_GT(result["best_us"].get<double>(), 0);
  EXPECT_GE(result["median_us"].get<double>(), result["best_us"].get<double>());
}

TEST_F(RunCommand, takes_targets_by_name) {
  ASSERT_EQ(run({.meta = write_meta(),
                 .feeds = write_feeds(1),
                 .targets = {"add:0", "total/read"},
                 .fetches = {"total"},
                 .steps = 3}),
            0)
      << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("total = 13"), HasSubstr("steps: 3")));
}

TEST_F(RunCommand, initialises_variables_without_collections) {
  meta_.mutable_collection_def()->erase("variables");
  ASSERT_EQ(run({.meta = write_meta(), .fetches = {"total:0"}, .steps = 0, .json = true}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["fetches"]["total:0"], 10.0);
}

TEST_F(RunCommand, reads_text_and_plain_graphs) {
  ASSERT_TRUE(write_file(path("a.pbtxt"), text_proto(meta_)).ok());
  EXPECT_EQ(run({.meta = path("a.pbtxt"), .fetches = {"total:0"}, .steps = 0}), 0) << err_;
  ASSERT_TRUE(write_file(path("a.pb"), meta_.graph_def().SerializeAsString()).ok());
  EXPECT_EQ(run({.meta = path("a.pb"), .fetches = {"total:0"}}), 0) << err_;
}

TEST_F(RunCommand, says_what_is_wrong) {
  const std::string meta = write_meta(), feeds = write_feeds(1);
  std::string bytes = meta_.SerializeAsString();
  ASSERT_TRUE(write_file(path("cut.meta"), bytes.substr(0, bytes.size() / 2)).ok());
  ASSERT_TRUE(write_file(path("empty.meta"), "").ok());
  ASSERT_TRUE(write_file(path("noise.feeds"), std::string(100, '\xee')).ok());
  const struct {
    RunCommandOptions options;
    const char* message;
  } cases[] = {
      {{.meta = path("no.meta")}, "no.meta"},
      {{.meta = path("cut.meta")}, "cut.meta"},
      {{.meta = path("empty.meta")}, "the file is empty"},
      {{.meta = meta, .checkpoint = path("model.ckpt")}, "there is no checkpoint"},
      {{.meta = meta, .feeds = path("no.feeds")}, "no.feeds"},
      {{.meta = meta, .feeds = path("noise.feeds")}, "noise.feeds"},
      {{.meta = meta, .targets = {"nothing"}}, "nothing"},
      {{.meta = meta, .feeds = feeds, .fetches = {"total:3"}}, "total:3"},
      {{.meta = meta}, "x"},  // not fed
  };
  for (const auto& each : cases) {
    EXPECT_EQ(run(each.options), 1) << each.message;
    EXPECT_THAT(err_, HasSubstr(each.message));
    EXPECT_EQ(out_, "");
  }
  EXPECT_EQ(run({.meta = meta, .feeds = write_feeds(1, "y")}), 1);
  EXPECT_THAT(err_, AllOf(HasSubstr("a.feeds"), HasSubstr("y")));
}

TEST_F(RunCommand, a_tensor_that_is_fetched_twice_stands_there_once) {
  ASSERT_EQ(run({.meta = write_meta(), .fetches = {"total:0", "total:0"}, .steps = 0, .json = true}), 0) << err_;
  EXPECT_EQ(out_, "{\"fetches\": {\"total:0\": 10.0}, \"steps\": 0}\n");
}

// Graphs that nobody sane writes: an error that names the node, at once.
TEST_F(RunCommand, refuses_hostile_graphs_by_node) {
  const struct {
    const char* node;
    const char* message;
  } cases[] = {
      {"op: 'AddN' attr { key: 'N' value { i: 0 } } attr { key: 'T' value { type: DT_FLOAT } }", "at least minimum 1"},
      {"op: 'AddN' attr { key: 'N' value { i: 9000000000000 } } attr { key: 'T' value { type: DT_FLOAT } }",
       "at most 1048576"},
      {"op: 'Placeholder'", "needs attr 'dtype'"},
      {"op: 'Placeholder' attr { key: 'dtype' value { i: 3 } }", "dtype"},
      {"op: ''", "does not specify an operation"},
      {"op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } } attr { key: 'value' value { tensor { dtype: "
       "DT_FLOAT "
       "tensor_shape {} float_val: 1 } } }",
       "Type mismatch between value (float) and dtype (int32)"},
      {"op: 'Const' attr { key: 'dtype' value { type: DT_STRING } } attr { key: 'value' value { tensor { dtype: "
       "DT_STRING tensor_shape { dim { size: 2 } } tensor_content: '\\377\\377\\377\\177aa' } } }",
       "Cannot parse tensor from proto"},
  };
  for (const auto& each : cases) {
    ASSERT_TRUE(write_file(path("bad.pbtxt"), std::string("node { name: 'culprit' ") + each.node + " }\n").ok());
    EXPECT_EQ(run({.meta = path("bad.pbtxt"), .fetches = {"culprit:0"}, .steps = 0}), 1) << each.node;
    EXPECT_THAT(err_, AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("culprit"), HasSubstr(each.message)));
  }
}

TEST_F(RunCommand, wants_something_to_run) {
  meta_.mutable_collection_def()->erase("bench_train_op");
  const std::string meta = write_meta();
  EXPECT_EQ(run({.meta = meta}), 1);
  EXPECT_THAT(err_, HasSubstr("--target"));
  EXPECT_EQ(run({.meta = meta, .steps = 5}), 1);
  EXPECT_EQ(run({.meta = meta, .fetches = {"total:0"}}), 0) << err_;  // only to look at
}

TEST(GraphFile, tells_kinds_apart_by_what_is_in_them) {
  tensorflow::MetaGraphDef meta;
  ASSERT_TRUE(parse_text_proto(kCounter, &meta, "counter").ok());
  tensorflow::SavedModel model;
  model.set_saved_model_schema_version(1);
  *model.add_meta_graphs() = meta;
  tensorflow::GraphDef one_node;
  *one_node.add_node() = meta.graph_def().node(0);
  const struct {
    const google::protobuf::Message& message;
    GraphFileKind kind;
  } cases[] = {{meta.graph_def(), GraphFileKind::kGraphDef},
               {one_node, GraphFileKind::kGraphDef},
               {meta, GraphFileKind::kMetaGraphDef},
               {model, GraphFileKind::kSavedModel}};
  for (const auto& [message, kind] : cases) {
    for (const bool text : {false, true}) {
      const auto file = parse_graph_file(text ? text_proto(message) : message.SerializeAsString(), "f");
      ASSERT_TRUE(file.ok()) << file.status();
      EXPECT_EQ(to_string(file->kind), to_string(kind));
      EXPECT_EQ(file->is_text, text);
      EXPECT_GT(serving_meta_graph(*file).graph_def().node_size(), 0);
    }
  }
}

TEST(GraphFile, survives_every_cut_and_flip) {
  tensorflow::MetaGraphDef meta;
  ASSERT_TRUE(parse_text_proto(kCounter, &meta, "counter").ok());
  const std::string bytes = meta.SerializeAsString();
  for (size_t i = 0; i < bytes.size(); ++i) {
    (void)parse_graph_file(bytes.substr(0, i), "f");
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x80);
    (void)parse_graph_file(flipped, "f");
  }
}

}  // namespace
}  // namespace millrace
