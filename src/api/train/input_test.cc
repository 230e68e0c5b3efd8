// Readers, input producers and batch functions: their graphs against TensorFlow's (tools/make_input_graphs.py), and
// what they do in a session.

#include "millrace/train/input.h"

#include <functional>
#include <thread>

#include "api/op_builder.h"
#include "api/testing_graphs.h"
#include "api/train/testing.h"
#include "tensorflow/core/protobuf/queue_runner.pb.h"

namespace tf = millrace;

namespace millrace::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Strings = std::vector<std::string>;

// --- graphs

void readers() {
  const tf::FIFOQueue files(10, {tf::string}, {.shapes = {PartialTensorShape::scalar()}, .name = "files"});
  const tf::TextLineReader plain, lines({.skip_header_lines = 2, .name = "lines"});
  const tf::WholeFileReader whole;
  const tf::FixedLengthRecordReader threes(3),
      fixed(4, {.header_bytes = 1, .footer_bytes = 2, .hop_bytes = 5, .name = "fixed", .encoding = "GZIP"});
  const tf::TFRecordReader records;
  const tf::IdentityReader same({.name = "same"});
  const tf::TFRecordReader compressed({.compression_type = "ZLIB"});
  plain.read(files);
  lines.read(files);
  lines.read(files, {.name = "r"});
  lines.read_up_to(files, 5);
  lines.read_up_to(files, tf::constant(Tensor(int64_t{6}), {.name = "six"}), {.name = "some"});
  lines.num_records_produced();
  lines.num_work_units_completed({.name = "done"});
  lines.reset();
  whole.read(files);
  threes.read(files);
  fixed.read(files);
  records.read(files);
  same.read(files);
  same.restore_state(same.serialize_state());
  compressed.read(files);
}

void producers() {
  tf::set_random_seed(7);
  string_input_producer(Strings{"a", "b"});
  string_input_producer(tf::constant(Strings{"x", "y"}, {.name = "names"}),
                        {.num_epochs = 2, .shuffle = false, .capacity = 5, .name = "files"});
  string_input_producer(Strings{"c"}, {.seed = 3, .shared_name = "shared"});
  range_input_producer(10, {.num_epochs = 1, .shuffle = false});
  range_input_producer(tf::placeholder(tf::int32, PartialTensorShape::scalar(), {.name = "n"}),
                       {.seed = 1, .capacity = 4, .name = "numbers"});
  const Output rows = tf::placeholder(tf::float32, {3, 2}, {.name = "rows"});
  slice_input_producer({rows, tf::constant(std::vector<int32_t>{1, 2, 3}, {.name = "labels"})},
                       {.num_epochs = 2, .seed = 2});
  slice_input_producer({tf::placeholder(tf::float32, {-1, 2}, {.name = "open"})}, {.shuffle = false, .name = "slices"});
  input_producer(rows, {.shuffle = false, .summary_name = "full", .name = "p"});
  input_producer(tf::placeholder(tf::int64, {.name = "anything"}),
                 {.element_shape = PartialTensorShape({4}), .num_epochs = 1});
  input_producer(Tensor({2, 2}, std::vector<int32_t>{1, 2, 3, 4}), {.capacity = 3});
  limit_epochs(rows);
  limit_epochs(rows, 3);
  limit_epochs(rows, 4, {.name = "epochs"});
  match_filenames_once("*.txt");
  match_filenames_once(Strings{"a*", "b*"}, {.name = "found"});
}

void batches() {
  tf::set_random_seed(8);
  const Output x = tf::placeholder(tf::float32, {2}, {.name = "x"});
  const Output y = tf::placeholder(tf::int32, PartialTensorShape::scalar(), {.name = "y"});
  const Output m = tf::placeholder(tf::float32, {5, 3}, {.name = "m"});
  const Output v = tf::placeholder(tf::int64, {-1}, {.name = "v"});
  batch({x, y}, 4);
  batch({x}, 4, {.num_threads = 2, .capacity = 10, .name = "b"});
  batch({m}, 4, {.enqueue_many = true, .allow_smaller_final_batch = true, .shared_name = "shared"});
  batch({v, x}, tf::placeholder(tf::int32, PartialTensorShape::scalar(), {.name = "size"}), {.dynamic_pad = true});
  batch({tf::placeholder(tf::float32, {.name = "any"})}, 2, {.shapes = {{PartialTensorShape({3})}}});
  const Output larger = x + 1.f;
  batch_join({{x, y}, {larger, y}}, 3);
  batch_join({{m}, {m}}, 3, {.capacity = 7, .enqueue_many = true, .allow_smaller_final_batch = true, .name = "joined"});
  shuffle_batch({x, y}, 4, 100, 10);
  shuffle_batch(
      {m}, 4, 50, 20,
      {.num_threads = 3, .seed = 5, .enqueue_many = true, .allow_smaller_final_batch = true, .name = "mixed"});
  shuffle_batch_join({{x, y}, {x, y}}, 4, 100, 10, {.seed = 6});
}

void maybe_batches() {
  const Output x = tf::placeholder(tf::float32, {2}, {.name = "x"});
  const Output y = tf::placeholder(tf::int32, PartialTensorShape::scalar(), {.name = "y"});
  const Output m = tf::placeholder(tf::float32, {5, 3}, {.name = "m"});
  const Output keep = tf::placeholder(tf::bool_, PartialTensorShape::scalar(), {.name = "keep"});
  const Output rows = tf::placeholder(tf::bool_, {5}, {.name = "keep_rows"});
  maybe_batch({x, y}, keep, 4);
  maybe_batch({x, y}, true, 4);
  maybe_batch({x, y}, false, 4);
  maybe_batch({m}, rows, 4, {.num_threads = 2, .enqueue_many = true});
  maybe_batch_join({{x, y}, {x, y}}, keep, 3, {.name = "joined"});
  maybe_batch_join({{m}, {m}}, rows, 3, {.enqueue_many = true});
  maybe_shuffle_batch({x}, 4, 50, 20, keep, {.seed = 5});
  maybe_shuffle_batch_join({{x}, {x}}, 4, 50, 20, keep, {.seed = 5});
}

SparseTensor sparse_tensor(const std::string& name, DataType dtype = tf::float32, int64_t rank = 2) {
  return {tf::placeholder(tf::int64, {-1, rank}, {.name = name + "_indices"}),
          tf::placeholder(dtype, {-1}, {.name = name + "_values"}),
          tf::placeholder(tf::int64, {rank}, {.name = name + "_shape"})};
}

void sparse_batches() {
  tf::set_random_seed(9);
  const SparseTensor s = sparse_tensor("s"), t = sparse_tensor("t"), u = sparse_tensor("u", tf::string, -1);
  const Output x = tf::placeholder(tf::float32, {2}, {.name = "x"});
  const Output m = tf::placeholder(tf::float32, {5, 3}, {.name = "m"});
  batch(ExampleList{s}, 4);
  batch(ExampleList{s, x, u}, 4, {.num_threads = 2, .allow_smaller_final_batch = true, .name = "mixed"});
  batch(ExampleList{s, m}, 4, {.enqueue_many = true, .shared_name = "shared"});
  batch(ExampleDict{{"b", x}, {"a", s}}, 3, {.name = "named"});
  batch(ExampleDict{{"only", x}}, 3);
  batch_join(std::vector{ExampleList{s, x}, ExampleList{t, x}}, 3);
  batch_join(std::vector{ExampleDict{{"s", s}, {"m", m}}, ExampleDict{{"s", t}, {"m", m}}}, 3,
             {.enqueue_many = true, .allow_smaller_final_batch = true});
  shuffle_batch(ExampleList{x, s}, 4, 50, 20, {.seed = 1});
  shuffle_batch(ExampleDict{{"s", s}}, 4, 50, 20, {.enqueue_many = true, .name = "rows"});
  shuffle_batch_join(std::vector{ExampleList{s}, ExampleList{t}}, 4, 50, 20, {.seed = 2});
  shuffle_batch_join(std::vector{ExampleDict{{"d", x}}, ExampleDict{{"d", x}}}, 4, 50, 20, {.seed = 2});
}

void maybe_sparse_batches() {
  const SparseTensor s = sparse_tensor("s"), t = sparse_tensor("t"), u = sparse_tensor("u", tf::string, -1);
  const Output m = tf::placeholder(tf::float32, {5, 3}, {.name = "m"});
  const Output keep = tf::placeholder(tf::bool_, PartialTensorShape::scalar(), {.name = "keep"});
  const Output rows = tf::placeholder(tf::bool_, {5}, {.name = "keep_rows"});
  maybe_batch(ExampleList{s, m}, keep, 4);
  maybe_batch(ExampleList{s, m}, true, 4);
  maybe_batch(ExampleList{s, m}, keep, 4, {.enqueue_many = true});
  maybe_batch(ExampleList{u}, keep, 4, {.enqueue_many = true});
  maybe_batch(ExampleList{s, m}, rows, 4, {.enqueue_many = true});
  maybe_batch_join(std::vector{ExampleList{s}, ExampleList{t}}, keep, 3, {.name = "joined"});
  maybe_batch_join(std::vector{ExampleDict{{"s", s}}, ExampleDict{{"s", t}}}, rows, 3, {.enqueue_many = true});
  maybe_shuffle_batch(ExampleDict{{"m", m}, {"s", s}}, 4, 50, 20, keep, {.seed = 5});
  maybe_shuffle_batch_join(std::vector{ExampleList{s}, ExampleList{t}}, 4, 50, 20, keep,
                           {.seed = 5, .enqueue_many = true});
}

void queues() {
  tf::set_random_seed(4);
  const Output x = tf::placeholder(tf::float32, {2}, {.name = "x"});
  const std::vector<PartialTensorShape> shapes = {{2}, PartialTensorShape::scalar()};
  const tf::FIFOQueue q(5, {tf::float32, tf::int32}, {.shapes = shapes, .names = {"x", "n"}});
  q.enqueue(QueueElement{{"n", 1}, {"x", x}});
  const Output m = tf::placeholder(tf::float32, {3, 2}, {.name = "m"});
  q.enqueue_many(QueueElement{{"x", m}, {"n", std::vector<int32_t>{1, 2, 3}}}, {.name = "many"});
  q.dequeue();
  const tf::FIFOQueue r(7, {tf::float32, tf::int32}, {.shapes = shapes, .names = {"x", "n"}, .name = "r"});
  const Output i = tf::placeholder(tf::int32, PartialTensorShape::scalar(), {.name = "i"});
  const tf::QueueBase chosen = tf::QueueBase::from_list(i, {q, r});
  EXPECT_EQ(chosen.shapes(), shapes);
  chosen.enqueue(QueueElement{{"n", 1}, {"x", x}});
  chosen.dequeue_many(2);
  chosen.size();
  chosen.close();
  tf::RandomShuffleQueue(9, 2, {tf::int32}, {.shared_name = "common"});
  tf::RandomShuffleQueue(9, 2, {tf::int32}, {.names = {"only"}, .seed = 3, .shared_name = "common"})
      .enqueue(QueueElement{{"only", 3}});
  tf::PaddingFIFOQueue(3, {tf::float32}, {{-1}}, {.names = {"v"}});
}

// The attributes that the lists hold.
std::string describe_attributes(const Node& node) {
  std::string text;
  for (const char* name :
       {"capacity", "min_after_dequeue", "seed", "seed2", "shared_name", "limit", "skip_header_lines", "header_bytes",
        "record_bytes", "footer_bytes", "hop_bytes", "encoding", "compression_type"}) {
    const AttrValue* attr = node.find_attr(name);
    if (attr == nullptr) continue;
    const auto* number = attr->get<int64_t>();
    text += (text.empty() ? "\n    " : " ") + std::string(name) + "=" +
            (number != nullptr ? std::to_string(*number) : *attr->get<std::string>());
  }
  if (const AttrValue* attr = node.find_attr("shapes")) {
    text += " shapes=";
    bool first = true;
    for (const PartialTensorShape& shape : *attr->get<std::vector<PartialTensorShape>>()) {
      text += first ? "[" : " [";
      first = false;
      for (int d = 0; d < shape.rank(); ++d) text += (d > 0 ? "," : "") + std::to_string(shape.dim(d));
      text += "]";
    }
  }
  return text;
}

std::string describe_collections() {
  std::string text;
  for (const auto& object : tf::get_collection<std::shared_ptr<CollectionObject>>(GraphKeys::QUEUE_RUNNERS)) {
    tensorflow::QueueRunnerDef def;
    def.ParseFromString(object->to_proto());
    text += "runner " + def.queue_name() + " |";
    // What a condition returns is a tensor in Python, and written as one; a name of either kind can be read.
    for (const std::string& name : def.enqueue_op_name()) text += " " + name + (name.ends_with("/Merge") ? ":0" : "");
    text += " | " + def.close_op_name() + " | " + def.cancel_op_name() + "\n";
  }
  for (const Output& summary : tf::get_collection<Output>(GraphKeys::SUMMARIES))
    text += "summary " + summary.name() + "\n";
  for (const Variable& variable : tf::local_variables()) text += "local " + variable.name() + "\n";
  return text;
}

// Nodes in TensorFlow's order, unless `in_any_order`: what enters a condition is made before what it enters here.
std::string normalized(const std::string& text, bool in_any_order) {
  if (!in_any_order) return text;
  std::vector<std::string> items;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("    ")) items.back() += "\n" + line;
    else items.push_back(line);
  }
  std::ranges::sort(items);
  std::string sorted;
  for (const std::string& item : items) sorted += item + "\n";
  return sorted;
}

struct Case {
  const char* name;
  void (*build)();
  bool in_any_order = false;
};
class InputGraph : public testing::TestWithParam<Case> {};

TEST_P(InputGraph, node_for_node) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  GetParam().build();
  std::string text;
  for (const Node* node : graph.impl().nodes()) text += describe_node(*node) + describe_attributes(*node) + "\n";
  text += describe_collections();
  const bool any = GetParam().in_any_order;
  EXPECT_EQ(normalized(text, any), normalized(expected_graph(std::string("input_") + GetParam().name), any));
}

INSTANTIATE_TEST_SUITE_P(Graphs, InputGraph,
                         testing::Values(Case{"readers", readers, true}, Case{"producers", producers},
                                         Case{"batches", batches}, Case{"maybe_batches", maybe_batches},
                                         Case{"sparse_batches", sparse_batches},
                                         Case{"maybe_sparse_batches", maybe_sparse_batches}, Case{"queues", queues}),
                         [](const auto& info) { return std::string(info.param.name); });

// --- what they do

class InputTest : public SupervisionTest {
 protected:
  void SetUp() override {
    SupervisionTest::SetUp();
    std::filesystem::create_directories(dir());
  }
  std::string file(const std::string& name, const std::string& contents) const {
    const std::string path = dir() + "/" + name;
    std::ofstream(path, std::ios::binary) << contents;
    return path;
  }

  // Runs until the input ends.
  template <class Body> static void run_to_end(Body body) {
    const tf::Session session;
    session.run(tf::global_variables_initializer());
    session.run(tf::local_variables_initializer());
    Coordinator coord;
    const std::vector<Thread> threads = start_queue_runners(session, &coord);
    try {
      while (!coord.should_stop()) body(session);
      ADD_FAILURE() << "an error must end the loop";
    } catch (const errors::OutOfRangeError&) {
    }
    coord.request_stop();
    coord.join(threads);
  }
};

TEST_F(InputTest, reads_lines_of_files_epoch_after_epoch) {
  const auto as_default = tf::Graph().as_default();
  const std::string a = file("a.csv", "head\n1\r\n2\n\n"), b = file("b.csv", "head"), c = file("c.csv", "head\n3");
  const tf::QueueBase files = string_input_producer(Strings{a, b, c}, {.num_epochs = 2, .shuffle = false});
  const tf::TextLineReader reader({.skip_header_lines = 1});
  const auto [key, line] = reader.read(files);
  const Output produced = reader.num_records_produced(), completed = reader.num_work_units_completed();
  Strings keys, lines;
  run_to_end([&](const Session& session) {
    const std::vector<Tensor> values = session.run({key, line});
    keys.push_back(values[0].scalar<std::string>().substr(dir().size() + 1));
    lines.push_back(values[1].scalar<std::string>());
    if (lines.size() < 8) return;
    EXPECT_EQ(session.run({produced})[0].scalar<int64_t>(), 8);
    EXPECT_EQ(session.run({completed})[0].scalar<int64_t>(), 5);  // the last one's end has not been met
  });
  EXPECT_THAT(keys,
              ElementsAre("a.csv:2", "a.csv:3", "a.csv:4", "c.csv:2", "a.csv:2", "a.csv:3", "a.csv:4", "c.csv:2"));
  EXPECT_THAT(lines, ElementsAre("1", "2", "", "3", "1", "2", "", "3"));
}

TEST_F(InputTest, reads_some_records_of_one_file_at_a_time) {
  const auto as_default = tf::Graph().as_default();
  const std::string a = file("a", "HHabcdefghijF"), b = file("b", "HHxyzF");
  const tf::QueueBase files = string_input_producer(Strings{a, b}, {.num_epochs = 1, .shuffle = false});
  const auto fixed = [&](int64_t hop) {
    return tf::FixedLengthRecordReader(3, {.header_bytes = 2, .footer_bytes = 1, .hop_bytes = hop});
  };
  const auto [keys, values] = fixed(2).read_up_to(files, 3);
  std::vector<Strings> batches;
  run_to_end([&](const Session& session) { batches.push_back(session.run({values})[0].to_vector<std::string>()); });
  EXPECT_THAT(batches, ElementsAre(ElementsAre("abc", "cde", "efg"), ElementsAre("ghi"), ElementsAre("xyz")));
}

TEST_F(InputTest, a_file_that_is_missing_is_named_and_passed_over) {
  const auto as_default = tf::Graph().as_default();
  const tf::FIFOQueue files(5, {tf::string}, {.shapes = {PartialTensorShape::scalar()}});
  const Operation enqueue = files.enqueue_many({Strings{dir() + "/none", file("b", "x")}});
  const Output line = tf::TextLineReader().read(files).value;
  const tf::Session session;
  session.run(enqueue);
  EXPECT_THAT(error_of<errors::NotFoundError>([&] { session.run({line}); }), HasSubstr(dir() + "/none"));
  EXPECT_EQ(session.run({line})[0].scalar<std::string>(), "x");
}

TEST_F(InputTest, a_reader_tells_and_takes_its_state) {
  const auto as_default = tf::Graph().as_default();
  const tf::FIFOQueue words(5, {tf::string}, {.shapes = {PartialTensorShape::scalar()}});
  const Operation enqueue = words.enqueue_many({Strings{"a", "b"}});
  const tf::IdentityReader reader;
  const Output value = reader.read(words).value, state = reader.serialize_state();
  const Output given = tf::placeholder(tf::string, PartialTensorShape::scalar());
  const Operation restore = reader.restore_state(given), reset = reader.reset();
  const Output produced = reader.num_records_produced();
  const Output none = tf::TextLineReader().serialize_state();
  const tf::Session session;
  session.run(enqueue);
  session.run({value});
  const Tensor told = session.run({state})[0];
  EXPECT_EQ(told.scalar<std::string>(), std::string("\x08\x01\x10\x01\x18\x01\x22\x01"
                                                    "a"));
  session.run({value});
  session.run(restore, {{given, told}});
  EXPECT_EQ(session.run({produced})[0].scalar<int64_t>(), 1);
  session.run(reset);
  EXPECT_EQ(session.run({produced})[0].scalar<int64_t>(), 0);
  for (const char* bad : {"\x08", "\x08\x05\x10\x03", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"})
    EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] {
                  session.run(restore, {{given, Tensor(bad)}});
                }),
                HasSubstr("IdentityReader"));
  EXPECT_THAT(error_of<errors::UnimplementedError>([&] { session.run({none}); }), HasSubstr("SerializeState"));
}

TEST_F(InputTest, reads_wait_for_files_without_holding_a_thread_and_end_with_their_step) {
  const auto as_default = tf::Graph().as_default();
  const tf::FIFOQueue words(5, {tf::string}, {.shapes = {PartialTensorShape::scalar()}});
  const Output word = tf::placeholder(tf::string, PartialTensorShape::scalar());
  const Operation enqueue = words.enqueue({word});
  const tf::IdentityReader reader;
  const Output first = reader.read(words).value, second = reader.read(words).value;
  const Output produced = reader.num_records_produced();
  const tf::Session session({.config = {.inter_op_parallelism_threads = 1}});
  EXPECT_THROW(session.run({first}, {}, {.timeout_in_ms = 20}), errors::DeadlineExceededError);
  // Both wait, the second one for its turn; the counter answers meanwhile.
  std::vector<Tensor> values;
  std::thread waiting([&] { values = session.run({first, second}); });
  for (const char* name : {"a", "b"}) session.run(enqueue, {{word, Tensor(name)}});
  waiting.join();
  EXPECT_THAT((Strings{values[0].scalar<std::string>(), values[1].scalar<std::string>()}),
              UnorderedElementsAre("a", "b"));
  EXPECT_EQ(session.run({produced})[0].scalar<int64_t>(), 2);
  std::thread ended([&] { EXPECT_ANY_THROW(session.run({first, second})); });
  session.close();
  ended.join();
}

TEST_F(InputTest, a_queue_is_chosen_as_it_runs_and_its_components_have_names) {
  const auto as_default = tf::Graph().as_default();
  const tf::FIFOQueue a(3, {tf::int32, tf::string}, {.names = {"n", "s"}}), b(3, a.dtypes(), {.names = a.names()});
  const Output i = tf::placeholder(tf::int32, PartialTensorShape::scalar());
  const tf::QueueBase chosen = tf::QueueBase::from_list(i, {a, b});
  const Operation put = chosen.enqueue(QueueElement{{"s", "x"}, {"n", i}});
  const std::map<std::string, Output> next = b.by_name(b.dequeue());
  const Output left = a.size();
  const tf::Session session;
  session.run(put, {{i, 1}});
  const std::vector<Tensor> got = session.run({next.at("n"), next.at("s"), left});
  EXPECT_EQ(got[0].scalar<int32_t>(), 1);
  EXPECT_EQ(got[1].scalar<std::string>(), "x");
  EXPECT_EQ(got[2].scalar<int32_t>(), 0);
  EXPECT_THROW(session.run(put, {{i, 2}}), errors::InvalidArgumentError);
}

TEST_F(InputTest, names_of_components_must_fit) {
  const auto as_default = tf::Graph().as_default();
  const auto error = [](const std::function<void()>& body) { return error_of<errors::InvalidArgumentError>(body); };
  const tf::FIFOQueue plain(3, {tf::int32, tf::int32}), named(3, plain.dtypes(), {.names = {"a", "b"}});
  EXPECT_THAT(error([&] { plain.enqueue(QueueElement{{"a", 1}, {"b", 2}}); }), HasSubstr("must have names"));
  EXPECT_THAT(error([&] { named.enqueue({1, 2}); }), HasSubstr("must enqueue a dictionary"));
  EXPECT_THAT(error([&] {
                named.enqueue(QueueElement{{"a", 1}, {"c", 2}});
              }),
              HasSubstr("Dictionary: (a, c), Queue: (a, b)"));
  EXPECT_THAT(error([&] { plain.by_name(plain.dequeue()); }), HasSubstr("have no names"));
  EXPECT_THAT(error([&] { tf::FIFOQueue(3, {tf::int32}, {.names = {"a", "b"}}); }), HasSubstr("same length as dtypes"));
  EXPECT_THAT(error([&] { tf::QueueBase::from_list(0, {}); }), HasSubstr("A list of queues expected"));
  EXPECT_THAT(error([&] { tf::QueueBase::from_list(0, {plain, named}); }), HasSubstr("matching component names"));
  EXPECT_THAT(error([&] {
                tf::QueueBase::from_list(0, {plain, tf::FIFOQueue(3, {tf::int32})});
              }),
              HasSubstr("matching component dtypes"));
}

TEST_F(InputTest, batches_of_slices) {
  const auto as_default = tf::Graph().as_default();
  const Output numbers = tf::constant(std::vector<float>{1, 2, 3, 4, 5});
  const std::vector<Output> rows = slice_input_producer({numbers, numbers * 10.f}, {.num_epochs = 1, .shuffle = false});
  const std::vector<Output> batched = batch(rows, 2, {.allow_smaller_final_batch = true});
  std::vector<std::vector<float>> seen;
  run_to_end([&](const Session& session) { seen.push_back(session.run({batched[1]})[0].to_vector<float>()); });
  EXPECT_THAT(seen, ElementsAre(ElementsAre(10, 20), ElementsAre(30, 40), ElementsAre(50)));
}

TEST_F(InputTest, keeps_only_what_is_to_be_kept) {
  const auto as_default = tf::Graph().as_default();
  const Output number = range_input_producer(10, {.num_epochs = 1, .shuffle = false}).dequeue()[0];
  const Output odd = tf::equal(tf::mod(number, 2), 1);
  const Output kept = maybe_batch({number}, odd, 5)[0];
  const Output rows = tf::reshape(kept, Tensor(std::vector<int32_t>{5}));
  const Output large = maybe_batch({rows}, tf::greater(rows, 4), 3, {.enqueue_many = true})[0];
  std::vector<std::vector<int32_t>> seen;
  run_to_end([&](const Session& session) { seen.push_back(session.run({large})[0].to_vector<int32_t>()); });
  EXPECT_THAT(seen, ElementsAre(ElementsAre(5, 7, 9)));
}

// Of an int32 scalar n: a row of four with n and 10 n at places 0 and 2.
SparseTensor sparse_row(const Output& n) {
  return {tf::constant(Tensor(TensorShape({2, 1}), std::vector<int64_t>{0, 2})), tf::stack({n, n * 10}),
          tf::constant(std::vector<int64_t>{4})};
}

TEST_F(InputTest, sparse_tensors_come_back_stacked) {
  const auto as_default = tf::Graph().as_default();
  const Output n = range_input_producer(3, {.num_epochs = 1, .shuffle = false}).dequeue()[0];
  const ExampleDict batched =
      batch(ExampleDict{{"n", n}, {"row", sparse_row(n)}}, 2, {.allow_smaller_final_batch = true});
  const auto& row = std::get<SparseTensor>(batched.at("row"));
  EXPECT_EQ(row.indices.shape(), PartialTensorShape({-1, 2}));
  std::vector<std::vector<int32_t>> numbers, values;
  std::vector<std::vector<int64_t>> indices, shapes;
  run_to_end([&](const Session& session) {
    const std::vector<Tensor> got =
        session.run({std::get<Output>(batched.at("n")), row.indices, row.values, row.dense_shape});
    numbers.push_back(got[0].to_vector<int32_t>());
    indices.push_back(got[1].to_vector<int64_t>());
    values.push_back(got[2].to_vector<int32_t>());
    shapes.push_back(got[3].to_vector<int64_t>());
  });
  EXPECT_THAT(numbers, ElementsAre(ElementsAre(0, 1), ElementsAre(2)));
  EXPECT_THAT(indices, ElementsAre(ElementsAre(0, 0, 0, 2, 1, 0, 1, 2), ElementsAre(0, 0, 0, 2)));
  EXPECT_THAT(values, ElementsAre(ElementsAre(0, 0, 1, 10), ElementsAre(2, 20)));
  EXPECT_THAT(shapes, ElementsAre(ElementsAre(2, 4), ElementsAre(1, 4)));
}

TEST_F(InputTest, rows_of_a_sparse_tensor_are_examples_of_which_some_are_kept) {
  const auto as_default = tf::Graph().as_default();
  const SparseTensor rows = {tf::constant(Tensor(TensorShape({4, 2}), std::vector<int64_t>{0, 1, 1, 0, 1, 2, 3, 0})),
                             limit_epochs(tf::constant(std::vector<float>{1, 2, 3, 4}), 1),
                             tf::constant(std::vector<int64_t>{4, 3})};
  const Output keep =
      tf::placeholder_with_default(Tensor(TensorShape({4}), std::vector<bool>{false, true, true, true}), {4});
  const ExampleList kept = maybe_batch(ExampleList{rows}, keep, 3, {.enqueue_many = true});
  const auto& batched = std::get<SparseTensor>(kept[0]);
  int runs = 0;
  run_to_end([&](const Session& session) {
    const std::vector<Tensor> got = session.run({batched.indices, batched.values, batched.dense_shape});
    EXPECT_THAT(got[0].to_vector<int64_t>(), ElementsAre(0, 0, 0, 2, 2, 0));  // the second one kept is empty
    EXPECT_THAT(got[1].to_vector<float>(), ElementsAre(2, 3, 4));
    EXPECT_THAT(got[2].to_vector<int64_t>(), ElementsAre(3, 3));
    ++runs;
  });
  EXPECT_EQ(runs, 1);
}

TEST_F(InputTest, sparse_tensors_of_several_threads_meet_in_one_map) {
  const auto as_default = tf::Graph().as_default();
  const auto numbers = [](int from) {
    return range_input_producer(20, {.num_epochs = 1, .seed = 1}).dequeue()[0] + from;
  };
  const Output a = numbers(1), b = numbers(21);
  const Output odd = tf::equal(tf::mod(a, 2), 1);
  const std::vector<ExampleDict> lists = {{{"row", sparse_row(a)}, {"n", a}}, {{"row", sparse_row(b)}, {"n", b}}};
  const ExampleDict mixed = maybe_shuffle_batch_join(lists, 5, 20, 10, odd, {.seed = 2});
  std::vector<int32_t> seen;
  run_to_end([&](const Session& session) {
    const std::vector<Tensor> got =
        session.run({std::get<Output>(mixed.at("n")), std::get<SparseTensor>(mixed.at("row")).values});
    const std::vector<int32_t> n = got[0].to_vector<int32_t>(), values = got[1].to_vector<int32_t>();
    ASSERT_EQ(values.size(), 10u);
    for (size_t i = 0; i < n.size(); ++i) {
      EXPECT_EQ(values[2 * i], n[i]);  // each row with its example
      EXPECT_EQ(values[2 * i + 1], 10 * n[i]);
      seen.push_back(n[i]);
    }
  });
  EXPECT_GE(seen.size(), 10u);
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST_F(InputTest, a_runner_may_name_a_tensor) {
  const auto as_default = tf::Graph().as_default();
  const Output keep = tf::placeholder(tf::bool_, PartialTensorShape::scalar());
  maybe_batch({tf::constant(1)}, keep, 2);
  tensorflow::QueueRunnerDef def;
  def.ParseFromString(tf::get_collection<std::shared_ptr<CollectionObject>>(GraphKeys::QUEUE_RUNNERS)[0]->to_proto());
  *def.mutable_enqueue_op_name(0) += ":0";  // as TensorFlow writes it
  EXPECT_EQ(QueueRunner::from_proto(def).enqueue_ops()[0].name(), "batch/cond/Merge");
}

TEST_F(InputTest, mixes_examples_of_several_threads) {
  const auto as_default = tf::Graph().as_default();
  const auto numbers = [](int from) {
    return range_input_producer(50, {.num_epochs = 1, .seed = 1}).dequeue()[0] + from;
  };
  const Output mixed = shuffle_batch_join({{numbers(0)}, {numbers(50)}}, 10, 40, 20, {.seed = 2})[0];
  std::vector<int32_t> seen;
  run_to_end([&](const Session& session) {
    for (const int32_t n : session.run({mixed})[0].to_vector<int32_t>()) seen.push_back(n);
  });
  EXPECT_FALSE(std::ranges::is_sorted(seen));
  std::ranges::sort(seen);
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST_F(InputTest, files_are_matched_once) {
  const auto as_default = tf::Graph().as_default();
  const std::string a = file("a.txt", "1"), b = file("b.txt", "2");
  const Variable names = match_filenames_once(Tensor(dir() + "/*.txt"));
  const Output value = names.value();
  const tf::Session session;
  session.run(tf::local_variables_initializer());
  file("c.txt", "3");
  EXPECT_THAT(session.run({value})[0].to_vector<std::string>(), ElementsAre(a, b));
}

TEST_F(InputTest, a_file_of_no_names_ends_with_an_error_and_not_with_silence) {
  const auto as_default = tf::Graph().as_default();
  const Output names = tf::placeholder_with_default(Tensor(TensorShape({0}), Strings{}), {-1});
  const Output name = string_input_producer(names).dequeue()[0];
  const tf::Session session;
  Coordinator coord;
  const std::vector<Thread> threads = start_queue_runners(session, &coord);
  EXPECT_THROW(session.run({name}), errors::OutOfRangeError);  // the runner has closed the queue
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { coord.join(threads); }),
              HasSubstr("string_input_producer requires a non-null input tensor"));
}

// Ops of TensorFlow before 1.0, whose handles are references to two strings.
TEST_F(InputTest, graphs_from_before_resources_run) {
  const auto as_default = tf::Graph().as_default();
  const std::vector<DataType> strings = {tf::string};
  const AttrMap queue_attrs = {{"component_types", strings},
                               {"shapes", std::vector<PartialTensorShape>{PartialTensorShape::scalar()}},
                               {"capacity", int64_t{5}}};
  const Output queue = create_output("FIFOQueue", {}, queue_attrs);
  EXPECT_EQ(queue.dtype(), ref_dtype(tf::string));
  EXPECT_EQ(queue.shape(), PartialTensorShape({2}));
  const Strings names = {file("a", "1\n2\n"), file("b", "3")};
  const Operation fill =
      create_op("QueueEnqueueMany", {queue, std::vector<Output>{tf::constant(names)}}, {{"Tcomponents", strings}});
  const Output size = create_output("QueueSize", {queue}), closed = create_output("QueueIsClosed", {queue});
  const Output reader = create_output("TextLineReader", {});
  const Operation read = create_op("ReaderRead", {reader, queue});
  const Operation some = create_op("ReaderReadUpTo", {reader, queue, Tensor(int64_t{5})});
  const Output produced = create_output("ReaderNumRecordsProduced", {reader});
  const Operation close = create_op("QueueClose", {queue});
  // A queue of resources, for a reader of the old kind.
  const tf::FIFOQueue words(5, strings, {.shapes = {PartialTensorShape::scalar()}});
  const Operation fill_words = words.enqueue_many({Strings{"w"}});
  const Output fake = create_output("FakeQueue", {words.queue_ref()});
  const Operation word = create_op("ReaderRead", {create_output("IdentityReader", {}), fake});
  AttrMap mixed_attrs = queue_attrs;
  mixed_attrs["seed"] = int64_t{1};
  const Output mixed = create_output("RandomShuffleQueue", {}, mixed_attrs);
  const Operation fill_mixed =
      create_op("QueueEnqueueMany", {mixed, std::vector<Output>{tf::constant(names)}}, {{"Tcomponents", strings}});
  const Output all_mixed = create_output("QueueDequeueMany", {mixed, Tensor(2)}, {{"component_types", strings}});

  const tf::Session session;
  session.run(fill);
  EXPECT_EQ(session.run({size})[0].scalar<int32_t>(), 2);
  EXPECT_EQ(session.run({read.output(1)})[0].scalar<std::string>(), "1");
  EXPECT_THAT(session.run({some.output(1)})[0].to_vector<std::string>(), ElementsAre("2"));
  EXPECT_THAT(session.run({some.output(1)})[0].to_vector<std::string>(), ElementsAre("3"));
  EXPECT_EQ(session.run({produced})[0].scalar<int64_t>(), 3);
  session.run(close);
  EXPECT_TRUE(session.run({closed})[0].scalar<bool>());
  EXPECT_THROW(session.run({read.output(1)}), errors::OutOfRangeError);
  session.run(fill_words);
  EXPECT_EQ(session.run({word.output(0)})[0].scalar<std::string>(), "w");
  session.run(fill_mixed);
  EXPECT_THAT(session.run({all_mixed})[0].to_vector<std::string>(), UnorderedElementsAre(names[0], names[1]));
}

TEST_F(InputTest, bad_arguments_are_named) {
  const auto as_default = tf::Graph().as_default();
  const Output x = tf::placeholder(tf::float32, {2}), any = tf::placeholder(tf::float32);
  const Output keep = tf::placeholder(tf::bool_), flags = tf::placeholder(tf::bool_, {2});
  const auto error = [](const std::function<void()>& body) { return error_of<errors::InvalidArgumentError>(body); };
  EXPECT_THAT(error([&] { string_input_producer(Tensor(TensorShape({0}), Strings{})); }), HasSubstr("non-null"));
  EXPECT_THAT(error([&] { limit_epochs(x, 0); }), HasSubstr("num_epochs must be > 0 not 0"));
  EXPECT_THAT(error([&] { input_producer(any); }), HasSubstr("`element_shape` must be specified"));
  EXPECT_THAT(error([&] { slice_input_producer({}); }), HasSubstr("at least one tensor"));
  EXPECT_THAT(error([&] { batch({}, 2); }), HasSubstr("at least one tensor in batch()"));
  EXPECT_THAT(error([&] { batch_join({}, 2); }), HasSubstr("at least one set of tensors"));
  EXPECT_THAT(error([&] { batch({any}, 2); }), HasSubstr("Cannot infer Tensor's rank"));
  EXPECT_THAT(error([&] { batch({x}, 2, {.num_threads = 0}); }), HasSubstr("num_threads must be > 0"));
  EXPECT_THAT(error([&] { batch_join({{x}, {tf::cast(x, tf::int32)}}, 2); }), HasSubstr("types to be consistent"));
  EXPECT_THAT(error([&] { shuffle_batch({x}, 2, 10, 10); }), HasSubstr("must be bigger than min_after_dequeue 10"));
  EXPECT_THAT(error([&] { maybe_batch({x}, keep, 2); }), HasSubstr("`keep_input` dimensions must be known"));
  EXPECT_THAT(error([&] { maybe_batch({x}, flags, 2); }), HasSubstr("cannot be a vector when `enqueue_many=False`"));
  EXPECT_THAT(error([&] { maybe_batch({x}, x, 2); }), HasSubstr("`keep_input` must be bool"));
  const SparseTensor s = sparse_tensor("s"), deep = sparse_tensor("deep", tf::float32, 3);
  const auto join = [&](const ExampleList& a, const ExampleList& b) { batch_join(std::vector{a, b}, 2); };
  EXPECT_THAT(error([&] { join({s}, {x}); }), HasSubstr("component 0 is sparse in some lists only"));
  EXPECT_THAT(error([&] { join({s}, {sparse_tensor("i", tf::int32)}); }), HasSubstr("types to be consistent"));
  EXPECT_THAT(error([&] { join({s}, {deep}); }), HasSubstr("has rank 3, the first list's component 0 has rank 2"));
  EXPECT_THAT(error([&] { maybe_batch(ExampleList{s}, false, 2); }), HasSubstr("the constant False"));
  EXPECT_THAT(error([&] { batch({x, Output()}, 2); }), HasSubstr("batch(): a tensor is absent"));
  EXPECT_THAT(error([&] { batch(ExampleList{SparseTensor{}}, 2); }), HasSubstr("batch(): a tensor is absent"));
  EXPECT_THAT(error([&] { batch(ExampleDict{}, 2); }), HasSubstr("at least one tensor in batch()"));
  EXPECT_THAT(error([&] { batch_join(std::vector<ExampleDict>{}, 2); }), HasSubstr("at least one set of tensors"));
  EXPECT_THAT(error([&] {
                batch_join(std::vector{ExampleDict{{"a", x}}, ExampleDict{{"b", x}}}, 2);
              }),
              HasSubstr("must have the same keys"));
}

}  // namespace
}  // namespace millrace::train
