// Graphs of parsed records against TensorFlow's, node for node, and what they give.

#include "api/testing_graphs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/millrace.h"

namespace millrace {
namespace {

namespace tf = millrace;
using testing::ElementsAre;

tf::ParseSequenceExampleOptions all_features() {
  return {.context_features = {{"a", tf::FixedLenFeature({2}, tf::int64)}, {"b", tf::VarLenFeature(tf::float32)}},
          .sequence_features = {{"c", tf::FixedLenSequenceFeature({3}, tf::float32)},
                                {"d", tf::VarLenFeature(tf::string)},
                                {"e", tf::FixedLenSequenceFeature({}, tf::int64, true)}}};
}

TEST(ParsingGraphs, are_tensorflows) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  tf::parse_single_sequence_example(tf::placeholder(tf::string, TensorShape(), {.name = "one"}), all_features());
  tf::ParseSequenceExampleOptions named = all_features();
  named.example_names = tf::placeholder(tf::string, {-1}, {.name = "names"});
  tf::io::parse_sequence_example(tf::placeholder(tf::string, {-1}, {.name = "many"}), named);
  tf::decode_json_example(tf::placeholder(tf::string, {2}, {.name = "json"}));
  const Output x = tf::placeholder(tf::float32, {2}, {.name = "x"});
  tf::parallel_stack({x, x});
  EXPECT_EQ(describe_graph(graph.impl()), expected_graph("parsing"));
}

// A SequenceExample without lists has the bytes of an Example.
TEST(ParsingGraphs, sequences_from_json) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const Output example = tf::decode_json_example(
      tf::constant(R"({"features": {"feature": {"a": {"int64List": {"value": ["7", "8"]}}}}})"));
  tf::ParseSequenceExampleOptions options = {
      .context_features = {{"a", tf::FixedLenFeature({2}, tf::int64)}},
      .sequence_features = {{"e", tf::FixedLenSequenceFeature({}, tf::int64, true)}}};
  const auto parsed = tf::parse_single_sequence_example(example, options);
  tf::Session session;
  const auto values =
      session.run({parsed.context["a"], parsed.lengths.at("e"), tf::parallel_stack({parsed.context["a"]})});
  EXPECT_THAT(values[0].to_vector<int64_t>(), ElementsAre(7, 8));
  EXPECT_EQ(values[1].scalar<int64_t>(), 0);
  EXPECT_EQ(values[2].shape(), TensorShape({1, 2}));
}

TEST(ParsingGraphs, want_features) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  EXPECT_THROW(tf::parse_single_sequence_example("", {}), tf::errors::InvalidArgumentError);
}

}  // namespace
}  // namespace millrace
