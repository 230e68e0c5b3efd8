#include "millrace/train/saver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "millrace/millrace.h"
#include "tensorflow/core/protobuf/saver.pb.h"

namespace millrace::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
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

class SaverTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("millrace_saver_" + std::to_string(::getpid()) + "_" +
                                                  testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    set_log_sink([](LogLevel, std::string_view) {});
  }
  void TearDown() override {
    set_log_sink({});
    std::filesystem::remove_all(directory_);
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
  std::filesystem::path directory_;
  Graph graph_;
  DefaultGraph as_default_ = graph_.as_default();
};

TEST_F(SaverTest, restores_reference_and_resource_variables) {
  for (const bool sharded : {false, true}) {
    auto guard = Graph().as_default();
    const Variable a = get_variable("a", {2, 2}, {.initializer = random_uniform_initializer()});
    const Variable b = get_variable("b", {3}, {.initializer = ones_initializer(), .use_resource = true});
    const Variable n(7, {.name = "n"});
    Saver saver({.sharded = sharded});
    Session session;
    session.run(global_variables_initializer());
    const std::vector<Tensor> before = session.run({a, b, n});
    EXPECT_EQ(saver.save(session, path("model.ckpt")), path("model.ckpt"));
    session.run({a.assign(Tensor({2, 2}, std::vector<float>(4))).op(),
                 b.assign(Tensor({3}, std::vector<float>(3))).op(), n.assign(0).op()});
    saver.restore(session, path("model.ckpt"));
    const std::vector<Tensor> after = session.run({a, b, n});
    EXPECT_EQ(before[0].to_vector<float>(), after[0].to_vector<float>());
    EXPECT_EQ(before[1].to_vector<float>(), after[1].to_vector<float>());
    EXPECT_EQ(after[2].scalar<int32_t>(), 7);
  }
}

TEST_F(SaverTest, writes_the_first_format_where_asked) {
  for (const bool sharded : {false, true}) {
    auto guard = Graph().as_default();
    const Variable v = get_variable("v", {2}, {.initializer = ones_initializer()});
    Saver saver({.sharded = sharded, .max_to_keep = 1, .write_version = SaverVersion::kV1});
    Session session;
    session.run(global_variables_initializer());
    const std::string base = sharded ? "shards" : "one";
    saver.save(session, path(base), {.global_step = 1});
    session.run(v.assign(Tensor({2}, std::vector<float>{3, 4})).op());
    const std::string saved = saver.save(session, path(base), {.global_step = 2});
    EXPECT_EQ(saved, path(sharded ? "shards-2-????"
                                    "?-of-00001"
                                  : "one-2"));
    EXPECT_TRUE(exists(base + "-2.meta"));
    EXPECT_TRUE(exists(sharded ? "shards-2-00000-of-00001" : "one-2"));
    EXPECT_FALSE(exists(sharded ? "shards-1-00000-of-00001" : "one-1"));  // not kept, nor its graph
    EXPECT_FALSE(exists(base + "-1.meta"));
    EXPECT_EQ(latest_checkpoint(directory_.string()), saved);
    EXPECT_TRUE(checkpoint_exists(saved));
    EXPECT_EQ(load_variable(saved, "v").to_vector<float>(), (std::vector<float>{3, 4}));
    session.run(global_variables_initializer());
    saver.restore(session, saved);
    EXPECT_EQ(session.run(v).to_vector<float>(), (std::vector<float>{3, 4}));
    // A new saver made of what the meta graph says of this one goes on in the same format.
    EXPECT_EQ(Saver(saver.as_saver_def()).save(session, path(base), {.global_step = 3}), path(sharded ? "shards-3-????"
                                                                                                        "?-of-00001"
                                                                                                      : "one-3"));
  }
}

TEST_F(SaverTest, keeps_the_newest_and_tells_the_state) {
  const Variable w = get_variable("w", {1});
  Saver saver({.max_to_keep = 2});
  Session session;
  session.run(global_variables_initializer());
  for (const int64_t step : {1, 2, 3}) saver.save(session, path("model.ckpt"), {.global_step = step});
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre(path("model.ckpt-2"), path("model.ckpt-3")));
  EXPECT_FALSE(exists("model.ckpt-1.index"));
  EXPECT_FALSE(exists("model.ckpt-1.meta"));
  EXPECT_TRUE(exists("model.ckpt-2.index"));
  EXPECT_EQ(latest_checkpoint(directory_), path("model.ckpt-3"));
  const auto state = get_checkpoint_state(directory_);
  ASSERT_TRUE(state);
  EXPECT_THAT(state->all_model_checkpoint_paths, ElementsAre(path("model.ckpt-2"), path("model.ckpt-3")));

  // A new program goes on where this one stopped.
  Saver next({.max_to_keep = 2, .name = "next"});
  next.recover_last_checkpoints(state->all_model_checkpoint_paths);
  next.save(session, path("model.ckpt"), {.global_step = 4});
  EXPECT_FALSE(exists("model.ckpt-2.index"));
}

TEST_F(SaverTest, one_that_keeps_all_names_only_the_newest_in_the_state) {
  const Variable w = get_variable("w", {1});
  Saver saver({.max_to_keep = 0});
  Session session;
  session.run(global_variables_initializer());
  for (const int64_t step : {1, 2, 3}) saver.save(session, path("m"), {.global_step = step});
  EXPECT_TRUE(exists("m-1.index"));
  EXPECT_THAT(saver.last_checkpoints(), ElementsAre());
  EXPECT_THAT(get_checkpoint_state(directory_)->all_model_checkpoint_paths, ElementsAre(path("m-3")));
}

TEST_F(SaverTest, is_built_later_where_deferred) {
  Saver saver({.defer_build = true});
  const Variable w = get_variable("w", {1}, {.initializer = ones_initializer()});
  const Operation init = global_variables_initializer();
  Session session;
  session.run(init);
  expect_error<errors::FailedPreconditionError>([&] { saver.save(session, path("m")); }, HasSubstr("build()"));
  expect_error<errors::FailedPreconditionError>([&] { saver.restore(session, path("m")); }, HasSubstr("build()"));
  saver.build();
  saver.build();  // once is enough
  saver.save(session, path("m"));
  EXPECT_EQ(load_variable(path("m"), "w").to_vector<float>(), std::vector<float>{1});
  expect_error<errors::InvalidArgumentError>(
      [&] { Saver({.var_list = std::vector<Variable>{w}, .defer_build = true}); }, HasSubstr("cannot be deferred"));
}

TEST_F(SaverTest, one_variable_has_one_name) {
  const Variable w = get_variable("w", {1});
  expect_error<errors::InvalidArgumentError>(
      [&] {
        Saver({.var_map = std::map<std::string, Variable>{{"a", w}, {"b", w}}});
      },
      HasSubstr("The same saveable will be restored with two names: b"));
}

// What a saveable of two tensors saves and takes back.
SaveableObject two_numbers(const std::string& name, const Variable& a, const Variable& b) {
  return SaveableObject(a.value(),
                        {{.tensor = a.value(), .name = name + "/a"}, {.tensor = b.value(), .name = name + "/b"}}, name,
                        [a, b](const std::vector<Output>& restored) {
                          return group({a.assign(restored[0]).op(), b.assign(restored[1]).op()});
                        });
}

TEST_F(SaverTest, saves_other_objects_among_the_variables_it_is_told) {
  const Variable w = get_variable("w", {1}, {.initializer = ones_initializer()});
  const Variable left_out = get_variable("left_out", {1});
  const auto number = [](float value) {
    return Variable(Tensor(value), {.trainable = false, .collections = std::vector<std::string>{"mine"}});
  };
  const Variable a = number(2), b = number(3);
  const SaveableObject object = two_numbers("numbers", a, b);
  Saver by_list({.var_list = {{w, object}}});
  Saver by_map({.var_map = {{{"weights", w}, {"any", object}}}, .name = "by_map"});
  const Operation init = variables_initializer({w, a, b}),
                  clear = group({a.assign(Tensor(0.f)).op(), b.assign(Tensor(0.f)).op()});
  Session session;
  session.run(init);
  by_list.save(session, path("list"));
  by_map.save(session, path("map"));
  const auto names = [&](const std::string& prefix) {
    std::vector<std::string> all;
    for (const auto& [name, shape] : list_variables(prefix)) all.push_back(name);
    return all;
  };
  EXPECT_THAT(names(path("list")), ElementsAre("numbers/a", "numbers/b", "w"));
  EXPECT_THAT(names(path("map")), ElementsAre("numbers/a", "numbers/b", "weights"));
  for (Saver* saver : {&by_list, &by_map}) {
    session.run(clear);
    saver->restore(session, path(saver == &by_list ? "list" : "map"));
    EXPECT_EQ(session.run(a.value()).scalar<float>(), 2);
    EXPECT_EQ(session.run(b.value()).scalar<float>(), 3);
  }
}

TEST_F(SaverTest, refuses_two_of_one_name_and_one_of_two) {
  const Variable w = get_variable("w", {1}), v = get_variable("v", {1});
  const auto refuses = [](const SaverOptions& options, const char* message) {
    expect_error<errors::InvalidArgumentError>([&] { Saver{options}; }, HasSubstr(message));
  };
  const SaveableObject object = two_numbers("w", v, v), same = two_numbers("same", v, v);
  refuses({.var_list = {{w, object}}}, "At least two variables have the same name: w");
  refuses({.var_list = {{object, same}}}, "The same saveable will be restored with two names: w");
  refuses({.var_map = {{{"a", object}, {"b", object}}}}, "The same saveable will be restored with two names: b");
  refuses({.var_list = {{w}}, .var_map = {{{"a", w}}}}, "both var_list and var_map");
  refuses({.var_list = std::vector<Variable>{}}, "No variables to save");
  refuses({.var_list = std::vector<Variable>{w, Variable()}}, "a variable to save is absent");
  refuses({.var_map = {{{"a", Variable()}}}}, "a variable to save is absent");
}

TEST_F(SaverTest, a_state_file_that_cannot_be_parsed_is_passed_over) {
  std::ofstream(path("checkpoint")) << "garbage {";
  EXPECT_FALSE(get_checkpoint_state(directory_));
  EXPECT_FALSE(latest_checkpoint(directory_));
  std::ofstream(path("checkpoint")) << "all_model_checkpoint_paths: 'm-1'";
  expect_error<errors::InvalidArgumentError>([&] { get_checkpoint_state(directory_); }, HasSubstr("checkpoint"));
  // A supervised session starts nothing anew where it cannot tell what was there.
  std::ofstream(path("checkpoint")) << "garbage {";
  get_or_create_global_step();
  expect_error<errors::DataLossError>([&] { MonitoredTrainingSession({.checkpoint_dir = directory_}); },
                                      HasSubstr("checkpoint"));
}

TEST_F(SaverTest, what_was_kept_before_keeps_its_time) {
  const Variable w = get_variable("w", {1});
  const Operation init = global_variables_initializer();
  Session session;
  Saver first({.max_to_keep = 1, .name = "first"}),
      next({.max_to_keep = 1, .keep_checkpoint_every_n_hours = 1, .name = "next"});
  session.run(init);
  first.save(session, path("m"), {.global_step = 1});
  // Written before the new saver's first hour has ended: it goes.
  next.recover_last_checkpoints({path("m-1"), path("absent")});
  next.save(session, path("m"), {.global_step = 2});
  EXPECT_FALSE(exists("m-1.index"));
  // A file of the hours to come stays for good, for as long as one more hour.
  std::filesystem::last_write_time(path("m-2.index"),
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(2));
  next.recover_last_checkpoints({path("m-2")});
  next.save(session, path("m"), {.global_step = 3});
  EXPECT_TRUE(exists("m-2.index"));
}

TEST_F(SaverTest, saves_under_other_names_and_pads_steps) {
  const Variable w = get_variable("w", {1}, {.initializer = ones_initializer()});
  Saver saver({.var_map = std::map<std::string, Variable>{{"weights", w}}, .pad_step_number = true});
  Session session;
  session.run(global_variables_initializer());
  EXPECT_EQ(saver.save(session, path("m"), {.global_step = 12, .write_meta_graph = false}), path("m-00000012"));
  EXPECT_FALSE(exists("m-00000012.meta"));
  const auto variables = list_variables(path("m-00000012"));
  ASSERT_EQ(variables.size(), 1u);
  EXPECT_EQ(variables[0].first, "weights");
  EXPECT_EQ(load_variable(directory_, "weights").to_vector<float>(), std::vector<float>{1});
}

TEST_F(SaverTest, restores_into_another_shape_if_asked) {
  {
    auto guard = Graph().as_default();
    get_variable("w", {2, 3}, {.initializer = ones_initializer()});
    Saver saver;
    Session session;
    session.run(global_variables_initializer());
    saver.save(session, path("m"));
  }
  const Variable w = get_variable("w", {6});
  Saver saver({.reshape = true});
  Session session;
  saver.restore(session, path("m"));
  EXPECT_EQ(session.run(w.value()).to_vector<float>(), std::vector<float>(6, 1.0f));
}

TEST_F(SaverTest, a_graph_without_variables) {
  EXPECT_THROW(Saver(), errors::InvalidArgumentError);
  Saver empty({.allow_empty = true});
  Session session;
  EXPECT_EQ(empty.save(session, path("m")), "");
  EXPECT_FALSE(exists("m.index"));
}

TEST_F(SaverTest, a_meta_graph_goes_on_training_in_a_new_graph) {
  const auto train_and_save = [&] {
    auto guard = Graph().as_default();
    const Variable step = get_or_create_global_step();
    const Variable w = get_variable("w", {2}, {.initializer = ones_initializer()});
    const Output loss = reduce_sum(square(Output(w)));
    const Operation train = AdamOptimizer({.learning_rate = 0.1}).minimize(loss, {.global_step = step});
    losses::add_loss(loss);
    Saver saver;
    Session session;
    session.run(global_variables_initializer());
    for (int i = 0; i < 3; ++i) session.run(train);
    saver.save(session, path("m"), {.global_step = 3});
    session.run(train);
    return session.run({loss, w});
  };
  const std::vector<Tensor> expected = train_and_save();

  Saver saver = import_meta_graph(path("m-3.meta"));
  Session session;
  saver.restore(session, path("m-3"));
  const std::vector<Operation> train = get_collection<Operation>(GraphKeys::TRAIN_OP);
  ASSERT_EQ(train.size(), 1u);
  ASSERT_EQ(trainable_variables().size(), 1u);
  ASSERT_EQ(losses::get_losses().size(), 1u);
  session.run(train[0]);
  const std::vector<Tensor> got = session.run({losses::get_losses()[0], trainable_variables()[0]});
  EXPECT_EQ(got[0].scalar<float>(), expected[0].scalar<float>());
  EXPECT_EQ(got[1].to_vector<float>(), expected[1].to_vector<float>());
  EXPECT_EQ(global_step(session, get_global_step()), 4);
}

TEST_F(SaverTest, restoring_another_models_checkpoint_names_the_variable) {
  {
    auto guard = Graph().as_default();
    get_variable("v", {2});
    Saver saver;
    Session session;
    session.run(global_variables_initializer());
    saver.save(session, path("model.ckpt"));
  }
  {
    auto guard = Graph().as_default();
    get_variable("w", {2});
    Saver saver;
    Session session;
    expect_error<errors::NotFoundError>([&] { saver.restore(session, path("model.ckpt")); },
                                        AllOf(HasSubstr("Key w not found in checkpoint")));
  }
  {
    auto guard = Graph().as_default();
    get_variable("v", {3});
    Saver saver;
    Session session;
    expect_error<errors::InvalidArgumentError>([&] { saver.restore(session, path("model.ckpt")); },
                                               AllOf(HasSubstr("[3]"), HasSubstr("[2]")));
  }
}

TEST_F(SaverTest, meta_graphs_that_are_none) {
  std::ofstream(path("junk.meta")) << "\x08\x96\x01 this is no meta graph";
  expect_error<errors::OpError>([&] { import_meta_graph(path("junk.meta")); }, HasSubstr("junk.meta"));
  expect_error<errors::NotFoundError>([&] { import_meta_graph(path("absent.meta")); }, HasSubstr("absent.meta"));
}

}  // namespace
}  // namespace millrace::train
