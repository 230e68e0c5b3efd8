// What SessionManager and its users do and say, as TensorFlow 2.21 does and says it.
#include "millrace/train/session_manager.h"

#include "api/train/testing.h"

namespace millrace::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using SessionManagerTest = SupervisionTest;

Variable make_variable(const char* name) { return get_variable(name, GetVariableOptions{.initializer = Tensor(2.0f)}); }

Variable make_local(const char* name) {
  return get_variable(name, GetVariableOptions{.initializer = Tensor(3.0f),
                                               .collections = std::vector<std::string>{GraphKeys::LOCAL_VARIABLES}});
}

constexpr const char* kRunning = "Running local_init_op.";
constexpr const char* kDone = "Done running local_init_op.";

TEST_F(SessionManagerTest, a_worker_times_out_where_nobody_initializes) {
  auto as_default = Graph().as_default();
  make_variable("w");
  make_local("l");
  get_or_create_global_step();
  EXPECT_EQ(error_of<errors::DeadlineExceededError>(
                [] { MonitoredTrainingSession({.is_chief = false, .max_wait_secs = 0.5}); }),
            "Session was not ready after waiting 0 secs.");
  EXPECT_THAT(log(), ElementsAre("Graph was finalized."));
}

TEST_F(SessionManagerTest, a_worker_proceeds_where_local_init_makes_the_model_ready) {
  auto as_default = Graph().as_default();
  const Variable local = make_local("l");
  int chief_calls = 0;
  class Count : public SessionRunHook {
   public:
    explicit Count(int* calls) : calls_(calls) {}
    void begin() override { ++*calls_; }

   private:
    int* calls_;
  };
  auto session = MonitoredTrainingSession(
      {.is_chief = false, .checkpoint_dir = dir(), .chief_only_hooks = {Count(&chief_calls)}, .max_wait_secs = 0.5});
  EXPECT_EQ(session.run(Output(local)).scalar<float>(), 3.0f);
  EXPECT_EQ(chief_calls, 0);
  EXPECT_FALSE(std::filesystem::exists(dir()));  // a worker writes nothing
  EXPECT_THAT(log(), ElementsAre("Graph was finalized.", kRunning, kDone));
}

TEST_F(SessionManagerTest, a_master_of_no_known_kind_is_refused) {
  auto as_default = Graph().as_default();
  EXPECT_THAT(
      error_of<errors::NotFoundError>([] { MonitoredTrainingSession({.master = "foo://bar", .is_chief = false}); }),
      HasSubstr("foo://bar"));
}

TEST_F(SessionManagerTest, waits_as_long_as_it_may) {
  auto as_default = Graph().as_default();
  make_variable("w");
  const SessionManager manager({.ready_op = report_uninitialized_variables(), .recovery_wait_secs = 0.1});
  EXPECT_EQ(error_of<errors::DeadlineExceededError>([&] { manager.wait_for_session("", {.max_wait_secs = 0.35}); }),
            "Session was not ready after waiting 0 secs.");
  EXPECT_THAT(log(), testing::Each("Waiting for model to be ready.  Ready_for_local_init_op:  None, ready: Variables "
                                   "not initialized: w"));
  EXPECT_GE(log().size(), 1u);
}

TEST_F(SessionManagerTest, says_what_local_init_waits_for) {
  auto as_default = Graph().as_default();
  make_variable("w");
  const Output ready = report_uninitialized_variables();
  const SessionManager manager(
      {.local_init_op = no_op(), .ready_op = ready, .ready_for_local_init_op = ready, .recovery_wait_secs = 0.1});
  EXPECT_THROW(manager.wait_for_session("", {.max_wait_secs = 0.15}), errors::DeadlineExceededError);
  EXPECT_THAT(log(), testing::Each("Waiting for model to be ready.  Ready_for_local_init_op:  Variables not "
                                   "initialized: w, ready: None"));
}

TEST_F(SessionManagerTest, prepare_names_what_is_missing) {
  auto as_default = Graph().as_default();
  make_variable("w");
  const Output ready = report_uninitialized_variables();
  const Operation init = no_op({.name = "init"});
  const auto prepare = [&](const SessionManagerOptions& manager, const PrepareSessionOptions& options) {
    return error_of<errors::FailedPreconditionError>([&] { SessionManager(manager).prepare_session("", options); });
  };
  EXPECT_EQ(prepare({}, {}), "Model is not initialized and no init_op or init_fn or local_init_op was given");
  EXPECT_EQ(prepare({.ready_op = ready}, {.init_op = init}),
            "Init operations did not make model ready.  Init op: init, init fn: None, local_init_op: None, error: "
            "Variables not initialized: w");
  EXPECT_EQ(prepare({.local_init_op = init, .ready_for_local_init_op = ready}, {.init_op = init}),
            "Init operations did not make model ready for local_init.  Init op: init, init fn: None, error: Variables "
            "not initialized: w");
  EXPECT_EQ(prepare({.local_init_op = init, .ready_op = ready}, {.init_fn = [](Session&) {}}),
            "Init operations did not make model ready.  Init op: None, init fn: given, local_init_op: init, error: "
            "Variables not initialized: w");
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { SessionManager({.ready_for_local_init_op = ready}); }),
              HasSubstr("If you pass a ready_for_local_init_op you must also pass a local_init_op"));
  EXPECT_THROW(SessionManager({.recovery_wait_secs = 0}), errors::InvalidArgumentError);
}

TEST_F(SessionManagerTest, waits_for_a_checkpoint_where_asked_to) {
  auto as_default = Graph().as_default();
  make_variable("w");
  const SessionManager manager({.ready_op = report_uninitialized_variables(), .recovery_wait_secs = 0.05});
  const auto [session, recovered] = manager.recover_session(
      "", {.saver = Saver(), .checkpoint_dir = dir(), .wait_for_checkpoint = true, .max_wait_secs = 0.1});
  EXPECT_FALSE(recovered);
  EXPECT_THAT(log(), ElementsAre("Waiting for checkpoint to be available.", "Waiting for checkpoint to be available."));
}

TEST_F(SessionManagerTest, recovers_and_says_what_the_checkpoint_lacked) {
  auto as_default = Graph().as_default();
  const Variable w = make_variable("w");
  Saver saver(SaverOptions{.var_list = std::vector<Variable>{w}});
  {
    Session session;
    session.run(w.initializer());
    saver.save(session, dir() + "/m");
  }
  const Variable v = make_variable("v");
  const Output all = report_uninitialized_variables();
  const Output only_w = report_uninitialized_variables({.var_list = std::vector<Variable>{w}});
  const RecoverSessionOptions from_here{.saver = saver, .checkpoint_dir = dir()};

  EXPECT_FALSE(SessionManager({.ready_op = all}).recover_session("", from_here).second);
  EXPECT_EQ(log().back(), "Restoring model from ck did not make model ready: Variables not initialized: v");
  {
    const auto [session, recovered] = SessionManager({.ready_op = only_w}).recover_session("", from_here);
    EXPECT_TRUE(recovered);
    EXPECT_EQ(session.run(Output(w)).scalar<float>(), 2.0f);
  }
  EXPECT_EQ(log().back(), "Restored model from ck");
  EXPECT_FALSE(
      SessionManager({.local_init_op = no_op(), .ready_for_local_init_op = all}).recover_session("", from_here).second);
  EXPECT_EQ(log().back(),
            "Restoring model from ck did not make model ready for local init: Variables not initialized: v");
  // An operation that meets the uninitialized variable itself says so.
  EXPECT_FALSE(SessionManager({.ready_op = v + 1.0}).recover_session("", from_here).second);
  EXPECT_THAT(log().back(), HasSubstr("Attempting to use uninitialized value v"));
  EXPECT_THROW(SessionManager().prepare_session(
                   "", {.saver = saver, .checkpoint_dir = dir(), .checkpoint_filename_with_path = "x"}),
               errors::InvalidArgumentError);
}

TEST_F(SessionManagerTest, local_init_takes_feeds) {
  auto as_default = Graph().as_default();
  const Output x = placeholder_with_default(Tensor(1.0f), PartialTensorShape::scalar());
  const Variable w = make_local("w");
  const Operation init = w.assign(x).op();
  const Session session =
      SessionManager({.local_init_op = init, .local_init_feed_dict = {{x, Tensor(5.0f)}}}).prepare_session("");
  EXPECT_EQ(session.run(Output(w)).scalar<float>(), 5.0f);
}

// The scenario "scaffold_finalize" of TensorFlow's traces.
TEST_F(SessionManagerTest, a_scaffold_makes_what_is_absent_under_tensorflows_names) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  make_variable("w");
  make_local("l");
  Scaffold scaffold({.init_fn = [](Scaffold&, Session&) {}});
  scaffold.finalize();
  EXPECT_EQ(scaffold.init_op().name(), "group_deps");
  EXPECT_EQ(scaffold.ready_op().name(), "concat:0");
  EXPECT_EQ(scaffold.ready_for_local_init_op().name(), "concat_1:0");
  EXPECT_EQ(scaffold.local_init_op().name(), "group_deps_1");
  EXPECT_FALSE(scaffold.summary_op());
  EXPECT_THAT(log(), ElementsAre("Graph was finalized."));
  for (const char* key : {GraphKeys::INIT_OP, GraphKeys::READY_OP, GraphKeys::READY_FOR_LOCAL_INIT_OP,
                          GraphKeys::LOCAL_INIT_OP, GraphKeys::SAVERS})
    EXPECT_EQ(get_collection(key).size(), 1u) << key;
  EXPECT_TRUE(get_collection(GraphKeys::SUMMARY_OP).empty());
}

TEST_F(SessionManagerTest, a_scaffold_does_not_guess_which_piece_is_meant) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  add_to_collection(GraphKeys::INIT_OP, no_op());
  add_to_collection(GraphKeys::INIT_OP, no_op());
  EXPECT_THAT(error_of<errors::FailedPreconditionError>([] { Scaffold().finalize(); }), HasSubstr("init_op"));
  const Operation made = Scaffold::get_or_default<Operation>("mine", "mine", [] { return no_op({.name = "made"}); });
  EXPECT_EQ(made.name(), "made");
  EXPECT_EQ(Scaffold::get_or_default<Operation>("mine", "mine", [] { return Operation(); }).name(), "made");
}

TEST_F(SessionManagerTest, a_scaffold_takes_pieces_from_another) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Variable w = make_variable("w");
  const Operation init = group({global_variables_initializer()}, {.name = "mine"});
  const Operation seven = w.assign(Tensor(7.0f)).op();
  auto base = std::make_shared<Scaffold>(ScaffoldOptions{.init_fn = [&](Scaffold& scaffold, Session& session) {
    trace().push_back("init_fn " + scaffold.init_op().name());
    session.run(seven);
  }});
  auto scaffold = std::make_shared<Scaffold>(ScaffoldOptions{.init_op = init, .copy_from_scaffold = base});
  MonitoredSession session(
      {.session_creator = std::make_shared<ChiefSessionCreator>(ChiefSessionCreatorOptions{.scaffold = scaffold})});
  EXPECT_THAT(trace(), ElementsAre("init_fn mine"));
  EXPECT_EQ(session.run(Output(w)).scalar<float>(), 7.0f);
}

}  // namespace
}  // namespace millrace::train
