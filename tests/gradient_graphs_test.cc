// Gradients and static shapes of array ops against graphs that TensorFlow built (tools/make_graph_cases.py): the same
// nodes, inputs, attributes, results and shapes.

#include <map>
#include <set>

#include "autodiff/gradients.h"
#include "graph/graph.h"
#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "gtest/gtest.h"
#include "io/record_reader.h"
#include "ops/all_ops.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace millrace {
namespace {

std::vector<tensorflow::Example> cases(const std::string& file) {
  std::vector<tensorflow::Example> examples;
  auto reader =
      RecordReader::open(MILLRACE_SOURCE_DIR "/tests/data/graphs/" + file, {.compression = Compression::kGzip});
  EXPECT_TRUE(reader.ok()) << reader.status().message();
  std::string bytes;
  while (reader.ok()) {
    const auto more = (*reader)->read(bytes);
    EXPECT_TRUE(more.ok());
    if (!more.ok() || !*more) break;
    EXPECT_TRUE(examples.emplace_back().ParseFromString(bytes));
  }
  return examples;
}

std::vector<std::string> feature(const tensorflow::Example& example, const std::string& name) {
  const auto found = example.features().feature().find(name);
  if (found == example.features().feature().end()) return {};
  const auto& list = found->second.bytes_list().value();
  return {list.begin(), list.end()};
}

tensorflow::GraphDef graph_of(const tensorflow::Example& example) {
  tensorflow::GraphDef graph;
  EXPECT_TRUE(graph.ParseFromString(feature(example, "graph_def").at(0)));
  return graph;
}

// A node as text: op, inputs, attributes by name.
std::string describe(const tensorflow::NodeDef& node) {
  std::string text = node.op() + "(";
  for (const std::string& input : node.input()) text += input + " ";
  text += ")";
  std::map<std::string, std::string> attrs;
  for (const auto& [key, value] : node.attr()) attrs[key] = value.ShortDebugString();
  for (const auto& [key, value] : attrs) text += " " + key + "=" + value;
  return text;
}

std::string name_of(const Output& output) {
  return output ? output.node()->name() + ":" + std::to_string(output.index()) : "-";
}

class GradientGraphs : public testing::TestWithParam<std::pair<const char*, size_t>> {};
class StaticShapes : public testing::TestWithParam<std::pair<const char*, size_t>> {};
INSTANTIATE_TEST_SUITE_P(, GradientGraphs,
                         testing::Values(std::pair("gradients.tfrecord", size_t{100}),
                                         std::pair("tensor_array_gradients.tfrecord", size_t{9}),
                                         std::pair("vision_gradients.tfrecord", size_t{16})));
INSTANTIATE_TEST_SUITE_P(, StaticShapes,
                         testing::Values(std::pair("shapes.tfrecord", size_t{100}),
                                         std::pair("tensor_array_shapes.tfrecord", size_t{7})));

TEST_P(GradientGraphs, equal_those_of_tensorflow) {
  const auto examples = cases(GetParam().first);
  ASSERT_GE(examples.size(), GetParam().second);
  for (const tensorflow::Example& example : examples) {
    SCOPED_TRACE(feature(example, "name").at(0));
    const tensorflow::GraphDef wanted = graph_of(example);
    tensorflow::GraphDef forward = wanted;
    forward.clear_node();
    for (const auto& node : wanted.node()) {
      if (!node.name().starts_with("gradients/")) *forward.add_node() = node;
    }
    const auto graph = std::make_shared<GraphImpl>(all_ops());
    const auto imported = import_graph_def(forward, {}, graph.get());
    ASSERT_TRUE(imported.ok()) << imported.status().message();
    GradientSpec spec;
    spec.ys = {*graph->find_output(feature(example, "y").at(0))};
    for (const std::string& x : feature(example, "xs")) spec.xs.push_back(*graph->find_output(x));
    const auto gradients = add_gradients(*graph, spec);
    ASSERT_TRUE(gradients.ok()) << gradients.status().message();
    tensorflow::GraphDef built;
    to_graph_def(*graph, &built);
    std::map<std::string, std::string> ours, theirs;
    for (const auto& node : built.node()) ours[node.name()] = describe(node);
    for (const auto& node : wanted.node()) theirs[node.name()] = describe(node);
    EXPECT_EQ(ours, theirs);
    std::vector<std::string> results;
    for (const Gradient& dx : *gradients) {
      if (!dx) results.push_back("-");
      else if (dx.is_slices())
        results.push_back(name_of(dx.slices().values) + "|" + name_of(dx.slices().indices) + "|" +
                          name_of(dx.slices().dense_shape));
      else results.push_back(name_of(dx.dense()));
    }
    EXPECT_EQ(results, feature(example, "results"));
  }
}

std::string shapes_of(const tensorflow::NodeDef& node) {
  std::string text;
  const auto shapes = node.attr().find("_output_shapes");
  if (shapes == node.attr().end()) return text;
  for (const auto& shape : shapes->second.list().shape()) text += from_proto(shape)->to_string() + " ";
  return text;
}

TEST_P(StaticShapes, equal_those_of_tensorflow) {
  const auto examples = cases(GetParam().first);
  ASSERT_GE(examples.size(), GetParam().second);
  for (const tensorflow::Example& example : examples) {
    const tensorflow::GraphDef wanted = graph_of(example);
    tensorflow::GraphDef plain = wanted;
    for (auto& node : *plain.mutable_node()) node.mutable_attr()->erase("_output_shapes");
    const auto graph = std::make_shared<GraphImpl>(all_ops());
    const auto imported = import_graph_def(plain, {}, graph.get());
    ASSERT_TRUE(imported.ok()) << imported.status().message();
    tensorflow::GraphDef built;
    to_graph_def(*graph, &built, {.add_shapes = true});
    std::map<std::string, std::string> ours, theirs;
    for (const auto& node : built.node()) ours[node.name()] = node.op() + " " + shapes_of(node);
    for (const auto& node : wanted.node()) theirs[node.name()] = node.op() + " " + shapes_of(node);
    EXPECT_EQ(ours, theirs);
  }
}

}  // namespace
}  // namespace millrace
