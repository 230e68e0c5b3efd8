// What goes wrong for users: each case gives TensorFlow's error class and a message that says what, where and how on, and the
// process goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "io/faulty_file_system.h"
#include "millrace/millrace.h"

namespace millrace {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The error of `code`, or a failure; its message must match.
template <class Error, class F, class Matcher> void expect_error(F code, const Matcher& matcher) {
  try {
    code();
    ADD_FAILURE() << "no error";
  } catch (const errors::OpError& e) {
    EXPECT_TRUE(dynamic_cast<const Error*>(&e)) << "another class, code " << static_cast<int>(e.code());
    EXPECT_THAT(std::string(e.what()), matcher);
  }
}

class BadInputTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("millrace_bad_" + std::to_string(::getpid()) + "_" +
                                                            testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    set_log_sink([](LogLevel, std::string_view) {});
  }
  void TearDown() override {
    set_log_sink({});
    summary::FileWriterCache::clear();
    std::filesystem::remove_all(directory_);
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::filesystem::path directory_;
  Graph graph_;
  DefaultGraph as_default_ = graph_.as_default();
};

TEST_F(BadInputTest, mismatched_static_shapes_name_the_op_and_its_inputs) {
  const Output a = placeholder(float32, {2, 3}), b = placeholder(float32, {4, 5});
  expect_error<errors::InvalidArgumentError>([&] { matmul(a, b, {.name = "product"}); },
                                             AllOf(HasSubstr("product"), HasSubstr("[2,3]"), HasSubstr("[4,5]")));
  expect_error<errors::InvalidArgumentError>([&] { add(a, b, {.name = "sum"}); }, AllOf(HasSubstr("sum"), HasSubstr("[2,3]"), HasSubstr("[4,5]")));
}

TEST_F(BadInputTest, wrong_dtypes_name_the_op) {
  const Output a = placeholder(float32, {2}), b = placeholder(int32, {2});
  expect_error<errors::InvalidArgumentError>([&] { add(a, b, {.name = "sum"}); }, AllOf(HasSubstr("float"), HasSubstr("int32")));
  expect_error<errors::InvalidArgumentError>([&] { matmul(placeholder(string, {2, 2}), placeholder(string, {2, 2})); }, HasSubstr("string"));
}

TEST_F(BadInputTest, impossible_shapes_are_refused) {
  expect_error<errors::InvalidArgumentError>([] { TensorShape({-1}); }, HasSubstr("-1"));
  expect_error<errors::InvalidArgumentError>([] { TensorShape({int64_t{1} << 40, int64_t{1} << 40}); }, HasSubstr("too large"));
  expect_error<errors::InvalidArgumentError>([] { Tensor(TensorShape({3}), std::vector<float>{1}); }, HasSubstr("3"));
  Session session;
  const Output huge = fill(Tensor(std::vector<int64_t>{int64_t{1} << 30, int64_t{1} << 20}), 1.0f);
  expect_error<errors::ResourceExhaustedError>([&] { session.run(huge); }, HasSubstr("1073741824"));
}

TEST_F(BadInputTest, fed_values_are_checked) {
  const Output x = placeholder(float32, {-1, 3}, {.name = "x"});
  const Output y = identity(x);
  Session session;
  expect_error<errors::InvalidArgumentError>([&] { session.run(y); }, AllOf(HasSubstr("must feed a value for placeholder"), HasSubstr("'x'")));
  expect_error<errors::InvalidArgumentError>([&] { session.run(y, {{x, Tensor({2, 2}, std::vector<float>(4))}}); }, AllOf(HasSubstr("x"), HasSubstr("(2, 2)")));
  expect_error<errors::InvalidArgumentError>([&] { session.run(y, {{x, Tensor({2, 3}, std::vector<int32_t>(6))}}); }, HasSubstr("x"));
  EXPECT_EQ(session.run(y, {{x, Tensor({1, 3}, std::vector<float>{1, 2, 3})}}).num_elements(), 3);  // and the session goes on
}

TEST_F(BadInputTest, fed_shapes_that_do_not_fit_name_op_and_source_line) {
  const Output x = placeholder(float32), w = placeholder(float32, {3, 2});
  const Output y = matmul(x, w, {.name = "product"});
  Session session;
  try {
    session.run(y, {{x, Tensor({2, 4}, std::vector<float>(8))}, {w, Tensor({3, 2}, std::vector<float>(6))}});
    FAIL() << "no error";
  } catch (const errors::InvalidArgumentError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("product"), HasSubstr("[2,4]"), HasSubstr("[3,2]"), HasSubstr("{{node product}}"), HasSubstr("bad_input_test.cc:")));
    EXPECT_EQ(e.where().node_name, "product");
    EXPECT_EQ(e.where().op_type, "MatMul");
    EXPECT_THAT(e.where().source, HasSubstr("bad_input_test.cc:"));
  }
}

TEST_F(BadInputTest, an_uninitialized_variable_is_named) {
  const Variable w = get_variable("w", {2});
  Session session;
  expect_error<errors::FailedPreconditionError>([&] { session.run(w.value()); }, HasSubstr("Attempting to use uninitialized value w"));
  session.run(w.initializer());
  EXPECT_EQ(session.run(w.value()).num_elements(), 2);
}

TEST_F(BadInputTest, indices_out_of_range_are_named) {
  const Output i = placeholder(int32, {1});
  const Output y = gather(constant(std::vector<float>{1, 2, 3}), i, {.name = "look_up"});
  Session session;
  expect_error<errors::InvalidArgumentError>([&] { session.run(y, {{i, Tensor(std::vector<int32_t>{3})}}); },
                                             AllOf(HasSubstr("look_up"), HasSubstr("indices[0] = 3"), HasSubstr("[0, 3)")));
}

TEST_F(BadInputTest, names_that_are_not_there) {
  expect_error<errors::NotFoundError>([&] { graph_.get_operation_by_name("nobody"); }, HasSubstr("nobody"));
  Session session;
  expect_error<errors::OpError>([&] { session.run("nobody:0"); }, HasSubstr("nobody"));
  Graph other;
  const Output foreign = [&] {
    auto guard = other.as_default();
    return constant(1.0);
  }();
  expect_error<errors::OpError>([&] { session.run(foreign); }, HasSubstr("Const"));
}

// --- records

Output first_record(const std::string& file) {
  return data::TFRecordDataset(Tensor(file)).make_one_shot_iterator().get_next<1>()[0];
}

TEST_F(BadInputTest, a_missing_record_file_is_named) {
  const Output record = first_record(path("absent.tfrecord"));
  Session session;
  expect_error<errors::NotFoundError>([&] { session.run(record); }, HasSubstr("absent.tfrecord"));
}

TEST_F(BadInputTest, damaged_record_files_give_file_and_offset) {
  std::filesystem::copy(std::string(MILLRACE_SOURCE_DIR) + "/data/digits-test.tfrecord", path("whole"));
  const auto size = std::filesystem::file_size(path("whole"));
  std::filesystem::copy(path("whole"), path("cut"));
  std::filesystem::resize_file(path("cut"), size - 5);
  std::filesystem::copy(path("whole"), path("flipped"));
  {
    std::fstream f(path("flipped"), std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(20);
    f.put('\xff');
  }
  const auto count = [&](const std::string& file) {
    auto guard = Graph().as_default();
    const Output record = first_record(path(file));
    Session session;
    while (true) session.run(record);
  };
  expect_error<errors::OutOfRangeError>([&] { count("whole"); }, HasSubstr("End of sequence"));
  expect_error<errors::DataLossError>([&] { count("cut"); }, AllOf(HasSubstr("truncated record"), HasSubstr("cut")));
  expect_error<errors::DataLossError>([&] { count("flipped"); }, AllOf(HasSubstr("corrupted record at 0"), HasSubstr("flipped")));
}

TEST_F(BadInputTest, a_record_that_is_no_example_names_the_feature) {
  const Output record = placeholder(string, PartialTensorShape::scalar());
  const auto parsed = parse_single_example(record, {{"image", FixedLenFeature({2}, float32)}});
  const Output image = parsed["image"];
  Session session;
  expect_error<errors::InvalidArgumentError>([&] { session.run(image, {{record, Tensor("\xff\xff\xff not a proto")}}); }, HasSubstr("arse"));
  expect_error<errors::InvalidArgumentError>([&] { session.run(image, {{record, Tensor("")}}); }, AllOf(HasSubstr("image"), HasSubstr("required")));
}

// --- checkpoints

TEST_F(BadInputTest, restoring_what_is_not_there) {
  get_variable("w", {2});
  train::Saver saver;
  Session session;
  expect_error<errors::InvalidArgumentError>([&] { saver.restore(session, path("absent")); }, HasSubstr("absent"));
}

TEST_F(BadInputTest, restoring_another_models_checkpoint_names_the_variable) {
  {
    auto guard = Graph().as_default();
    get_variable("v", {2});
    train::Saver saver;
    Session session;
    session.run(global_variables_initializer());
    saver.save(session, path("model.ckpt"));
  }
  {
    auto guard = Graph().as_default();
    get_variable("w", {2});
    train::Saver saver;
    Session session;
    expect_error<errors::NotFoundError>([&] { saver.restore(session, path("model.ckpt")); }, AllOf(HasSubstr("Key w not found in checkpoint")));
  }
  {
    auto guard = Graph().as_default();
    get_variable("v", {3});
    train::Saver saver;
    Session session;
    expect_error<errors::InvalidArgumentError>([&] { saver.restore(session, path("model.ckpt")); }, AllOf(HasSubstr("[3]"), HasSubstr("[2]")));
  }
}

TEST_F(BadInputTest, a_damaged_checkpoint_is_data_loss) {
  get_variable("w", {2}, {.initializer = ones_initializer()});
  train::Saver saver;
  Session session;
  session.run(global_variables_initializer());
  saver.save(session, path("model.ckpt"));
  {
    std::fstream f(path("model.ckpt.data-00000-of-00001"), std::ios::in | std::ios::out | std::ios::binary);
    f.put('\x7f');
  }
  expect_error<errors::DataLossError>([&] { saver.restore(session, path("model.ckpt")); }, HasSubstr("model.ckpt"));
  std::filesystem::resize_file(path("model.ckpt.index"), 20);
  expect_error<errors::DataLossError>([&] { saver.restore(session, path("model.ckpt")); }, HasSubstr("model.ckpt"));
}

TEST_F(BadInputTest, a_full_disk_keeps_the_earlier_checkpoint) {
  FaultyFileSystem disk("full");
  const Variable w = get_variable("w", {1000}, {.initializer = ones_initializer()});
  const Output change = w.assign_add(Tensor(TensorShape({1000}), std::vector<float>(1000, 1.0f)));
  train::Saver saver;
  Session session;
  session.run(global_variables_initializer());
  ASSERT_TRUE(disk.make_directory("full://run").ok());
  const std::string first = saver.save(session, "full://run/model.ckpt", {.global_step = 1});
  disk.set_capacity(12'000);
  session.run(change);
  expect_error<errors::ResourceExhaustedError>([&] { saver.save(session, "full://run/model.ckpt", {.global_step = 2}); }, HasSubstr("full://run"));
  EXPECT_EQ(train::latest_checkpoint("full://run"), first);
  saver.restore(session, first);
  EXPECT_EQ(session.run(w.value()).flat<float>()[7], 1.0f);
}

TEST_F(BadInputTest, an_unwritable_folder_is_named) {
  get_variable("w", {2});
  train::Saver saver;
  Session session;
  session.run(global_variables_initializer());
  std::ofstream(path("file")).put('x');  // a file where a folder is wanted: refused whoever runs the test
  expect_error<errors::OpError>([&] { saver.save(session, path("file/model.ckpt")); }, HasSubstr("file"));
  expect_error<errors::OpError>([&] { summary::FileWriter(path("file/logs")); }, HasSubstr("file"));
  expect_error<errors::InvalidArgumentError>([&] { saver.save(session, path("absent/deeper/model.ckpt")); }, HasSubstr("absent"));
}

TEST_F(BadInputTest, meta_graphs_that_are_none) {
  std::ofstream(path("junk.meta")) << "\x08\x96\x01 this is no meta graph";
  expect_error<errors::OpError>([&] { train::import_meta_graph(path("junk.meta")); }, HasSubstr("junk.meta"));
  expect_error<errors::NotFoundError>([&] { train::import_meta_graph(path("absent.meta")); }, HasSubstr("absent.meta"));
}

}  // namespace
}  // namespace millrace
