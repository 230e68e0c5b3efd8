// What goes wrong in users' hands, through the public API: each case must give TensorFlow's error class, with a message
// that names the op, its inputs and the line of this file that made it, or the file and the offset; and the process
// goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <millrace/millrace.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "io/faulty_file_system.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace tf = millrace;

namespace {

using testing::AllOf;
using testing::HasSubstr;

class BadInput : public testing::Test {
 protected:
  BadInput() : as_default_(graph_.as_default()) {
    directory_ = testing::TempDir() + "/bad_input_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~BadInput() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  tf::Graph graph_;
  tf::DefaultGraph as_default_;
  std::string directory_;
};

// Runs `body` and gives the message of the error it must throw.
template <class Error, class Body> std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

tf::Output floats(const tf::TensorShape& shape) { return tf::constant(tf::Tensor(tf::float32, shape)); }

void copy_cut(const std::string& from, const std::string& to, size_t keep, int flip = -1) {
  std::ifstream in(from, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  bytes.resize(std::min(keep, bytes.size()));
  if (flip >= 0) bytes[static_cast<size_t>(flip)] ^= 0x20;
  std::ofstream(to, std::ios::binary) << bytes;
}

TEST_F(BadInput, an_unknown_op_is_not_found) {
  tensorflow::GraphDef def;
  auto* node = def.add_node();
  node->set_name("odd");
  node->set_op("NoSuchOp");
  EXPECT_THAT(message_of<tf::errors::NotFoundError>([&] { tf::import_graph_def(def); }), HasSubstr("NoSuchOp"));
}

TEST_F(BadInput, mixed_dtypes_are_refused_where_the_op_is_made) {
  const tf::Output a = floats({2, 2}), b = tf::constant(tf::Tensor(tf::int32, {2, 2}));
  const std::string message =
      message_of<tf::errors::InvalidArgumentError>([&] { tf::matmul(a, b, {.name = "product"}); });
  EXPECT_THAT(message, AllOf(HasSubstr("float32"), HasSubstr("int32")));
}

TEST_F(BadInput, mismatched_static_shapes_are_refused_with_both_shapes) {
  const tf::Output a = floats({2, 3}), b = floats({2, 3});
  const std::string message =
      message_of<tf::errors::InvalidArgumentError>([&] { tf::matmul(a, b, {.name = "product"}); });
  EXPECT_THAT(message, AllOf(HasSubstr("product"), HasSubstr("[2,3]"), HasSubstr("must be equal")));
}

TEST_F(BadInput, mismatched_fed_shapes_are_refused_by_the_run) {
  const tf::Output a = tf::placeholder(tf::float32, {.name = "a"}), b = tf::placeholder(tf::float32, {.name = "b"});
  const tf::Output c = tf::matmul(a, b, {.name = "product"});
  tf::Session session;
  const tf::FeedDict bad = {{a, tf::Tensor(tf::float32, {2, 3})}, {b, tf::Tensor(tf::float32, {2, 3})}};
  const std::string message = message_of<tf::errors::InvalidArgumentError>([&] { session.run(c, bad); });
  EXPECT_THAT(message, AllOf(HasSubstr("{{node product}}"), HasSubstr("bad_input_test.cc")));
  const tf::FeedDict good = {{a, tf::Tensor(tf::float32, {2, 3})}, {b, tf::Tensor(tf::float32, {3, 1})}};
  EXPECT_EQ(session.run(c, good).num_elements(), 2);  // the session goes on
}

TEST_F(BadInput, a_feed_that_contradicts_the_placeholder_is_refused) {
  const tf::Output a = tf::placeholder(tf::float32, {-1, 3}, {.name = "a"});
  tf::Session session;
  EXPECT_THAT(message_of<tf::errors::InvalidArgumentError>([&] {
                session.run(tf::identity(a), {{a, tf::Tensor(tf::float32, {2, 4})}});
              }),
              HasSubstr("a:0"));
  EXPECT_THAT(message_of<tf::errors::InvalidArgumentError>([&] {
                session.run(tf::identity(a), {{a, tf::Tensor(tf::int32, {2, 3})}});
              }),
              HasSubstr("a"));
}

TEST_F(BadInput, an_unfed_placeholder_is_named) {
  const tf::Output a = tf::placeholder(tf::float32, {2}, {.name = "input"});
  const tf::Output y = tf::square(a);
  tf::Session session;
  EXPECT_THAT(message_of<tf::errors::InvalidArgumentError>([&] { session.run(y); }),
              AllOf(HasSubstr("You must feed a value for placeholder tensor 'input'"), HasSubstr("bad_input_test.cc")));
}

TEST_F(BadInput, an_uninitialized_variable_is_named) {
  const tf::Variable v = tf::get_variable("weights", tf::TensorShape({2}));
  tf::Session session;
  EXPECT_THAT(message_of<tf::errors::FailedPreconditionError>([&] { session.run(v); }),
              HasSubstr("Attempting to use uninitialized value weights"));
}

TEST_F(BadInput, indices_that_are_fed_are_checked) {
  const tf::Output ids = tf::placeholder(tf::int32, {.name = "ids"});
  const tf::Output y = tf::gather(floats({3, 2}), ids);
  tf::Session session;
  for (const int bad : {3, -1, 1 << 30})
    EXPECT_THAT(message_of<tf::errors::InvalidArgumentError>([&] {
                  session.run(y, {{ids, tf::Tensor(bad)}});
                }),
                HasSubstr("[0, 3)"));
}

TEST_F(BadInput, a_huge_tensor_is_an_error_not_a_crash) {
  const tf::Output dims = tf::placeholder(tf::int64, {.name = "dims"});
  const tf::Output y = tf::fill(dims, 1.0f);
  tf::Session session;
  EXPECT_THROW(session.run(y, {{dims, tf::Tensor(std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40})}}),
               tf::errors::OpError);
  EXPECT_THROW(session.run(y, {{dims, tf::Tensor(std::vector<int64_t>{int64_t{1} << 45})}}), tf::errors::OpError);
  EXPECT_EQ(session.run(y, {{dims, tf::Tensor(std::vector<int64_t>{2})}}).num_elements(), 2);
}

// --- record files

tf::Output next_record(const std::string& path) {
  auto [record] = tf::data::TFRecordDataset(path).make_one_shot_iterator().get_next<1>();
  return record;
}

TEST_F(BadInput, a_missing_record_file_is_not_found) {
  const tf::Output record = next_record(path("absent.tfrecord"));
  tf::Session session;
  EXPECT_THAT(message_of<tf::errors::NotFoundError>([&] { session.run(record); }), HasSubstr("absent.tfrecord"));
}

TEST_F(BadInput, a_truncated_record_file_is_data_loss_after_its_whole_records) {
  copy_cut("data/digits-test.tfrecord", path("cut.tfrecord"), 700);
  const tf::Output record = next_record(path("cut.tfrecord"));
  tf::Session session;
  session.run(record);
  session.run(record);
  EXPECT_THAT(message_of<tf::errors::DataLossError>([&] { session.run(record); }),
              AllOf(HasSubstr("cut.tfrecord"), HasSubstr("truncated record at 620")));
}

TEST_F(BadInput, a_corrupted_record_file_is_data_loss_with_its_offset) {
  copy_cut("data/digits-test.tfrecord", path("bad.tfrecord"), 5000, 400);
  const tf::Output record = next_record(path("bad.tfrecord"));
  tf::Session session;
  session.run(record);
  EXPECT_THAT(message_of<tf::errors::DataLossError>([&] { session.run(record); }),
              AllOf(HasSubstr("bad.tfrecord"), HasSubstr("corrupted record at 310")));
}

// --- checkpoints

TEST_F(BadInput, a_missing_checkpoint_is_named) {
  const tf::Variable v = tf::get_variable("v", tf::TensorShape({2}));
  tf::train::Saver saver;
  tf::Session session;
  EXPECT_THAT(message_of<tf::errors::OpError>([&] { saver.restore(session, path("absent.ckpt")); }),
              HasSubstr("absent.ckpt"));
}

TEST_F(BadInput, a_damaged_checkpoint_is_refused_and_older_ones_stay) {
  const tf::Variable v = tf::get_variable("v", tf::TensorShape({64}), {.initializer = tf::ones_initializer()});
  const tf::Operation init = tf::global_variables_initializer();
  tf::train::Saver saver;
  tf::Session session;
  session.run(init);
  const std::string first = saver.save(session, path("model.ckpt"), {.global_step = 1});
  const std::string second = saver.save(session, path("model.ckpt"), {.global_step = 2});
  const std::string data = second + ".data-00000-of-00001";
  copy_cut(data, data + ".new", 256, 17);
  std::filesystem::rename(data + ".new", data);
  EXPECT_THAT(message_of<tf::errors::DataLossError>([&] { saver.restore(session, second); }),
              HasSubstr("model.ckpt-2"));
  copy_cut(second + ".index", second + ".index.new", 40);
  std::filesystem::rename(second + ".index.new", second + ".index");
  EXPECT_THAT(message_of<tf::errors::OpError>([&] { saver.restore(session, second); }), HasSubstr("model.ckpt-2"));
  saver.restore(session, first);
  EXPECT_EQ(session.run(v).num_elements(), 64);
}

TEST_F(BadInput, a_full_disk_while_saving_leaves_the_older_checkpoint) {
  millrace::FaultyFileSystem disk("full");
  const tf::Variable v = tf::get_variable("v", tf::TensorShape({1000}), {.initializer = tf::ones_initializer()});
  const tf::Operation init = tf::global_variables_initializer();
  tf::train::Saver saver;
  tf::Session session;
  session.run(init);
  const std::string first = saver.save(session, "full://run/model.ckpt", {.global_step = 1, .write_meta_graph = false});
  disk.set_capacity(6000);
  EXPECT_THAT(message_of<tf::errors::ResourceExhaustedError>(
                  [&] { saver.save(session, "full://run/model.ckpt", {.global_step = 2, .write_meta_graph = false}); }),
              HasSubstr("model.ckpt-2"));
  EXPECT_EQ(tf::train::latest_checkpoint("full://run"), first);
  saver.restore(session, first);
  EXPECT_EQ(session.run(v).num_elements(), 1000);
}

TEST_F(BadInput, a_folder_that_cannot_be_written_is_named) {
  std::ofstream(path("file")) << "not a folder";
  const tf::Variable v = tf::get_variable("v", tf::TensorShape({2}), {.initializer = tf::ones_initializer()});
  const tf::Operation init = tf::global_variables_initializer();
  tf::train::Saver saver;
  tf::Session session;
  session.run(init);
  EXPECT_THAT(message_of<tf::errors::OpError>([&] { saver.save(session, path("file/model.ckpt")); }),
              HasSubstr("file"));
  EXPECT_EQ(session.run(v).num_elements(), 2);
}

// --- training

TEST_F(BadInput, a_nan_loss_ends_the_training_with_its_own_error) {
  const tf::Variable w = tf::get_variable("w", {.initializer = tf::Tensor(1.0f)});
  const tf::Output loss = tf::log(w - 2.0f);
  const auto step = tf::train::get_or_create_global_step();
  const tf::Operation train = tf::train::GradientDescentOptimizer(0.1).minimize(loss, {.global_step = step});
  auto session = tf::train::MonitoredTrainingSession({.hooks = {tf::train::NanTensorHook(loss)}});
  EXPECT_THROW(session.run(train), tf::train::NanLossDuringTrainingError);
}

}  // namespace
