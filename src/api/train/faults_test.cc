// Supervised sessions whose surroundings fail: ops that meet a lost machine, disks that fail in the middle of a save,
// queues that close on enqueues, folders that disappear.

#include <chrono>
#include <thread>

#include "api/op_builder.h"
#include "api/train/testing.h"
#include "io/faulty_file_system.h"

namespace millrace::train {
namespace {

using testing::HasSubstr;

class FaultsTest : public SupervisionTest {
 protected:
  static long count(const std::string& call) {
    return std::ranges::count_if(trace(), [&](const std::string& line) { return line.starts_with(call); });
  }
};

// An op that reads a file at each run. The name stands in a variable, else what it says would be folded into a
// constant.
Operation read_signal() {
  const Variable name(Tensor("signal://file"),
                      {.trainable = false, .collections = std::vector<std::string>{GraphKeys::LOCAL_VARIABLES}});
  return create_op("ReadFile", {name.value()});
}

// Fails the only file operation of the given runs, counted from 1, so that an op of the graph does.
class FailingRuns : public SessionRunHook {
 public:
  FailingRuns(FaultyFileSystem* disk, std::vector<int> runs, absl::Status error)
      : disk_(disk), runs_(std::move(runs)), error_(std::move(error)) {}
  std::optional<SessionRunArgs> before_run(SessionRunContext&) override {
    ++run_;
    if (std::ranges::find(runs_, run_) != runs_.end()) disk_->fail_at(0, error_);
    return std::nullopt;
  }

 private:
  FaultyFileSystem* disk_;
  std::vector<int> runs_;
  absl::Status error_;
  int run_ = 0;
};

TEST_F(FaultsTest, an_op_that_meets_a_lost_machine_makes_a_new_session_at_any_step) {
  for (const absl::Status& error : {absl::AbortedError("preempted"), absl::UnavailableError("gone")}) {
    for (const std::vector<int>& runs : {std::vector{1}, {4}, {2, 3}, {1, 3, 5, 6}}) {
      trace().clear();
      std::filesystem::remove_all(dir());
      FaultyFileSystem disk("signal");
      ASSERT_TRUE(write_file("signal://file", "x").ok());
      auto as_default = Graph().as_default();
      const Model model = make_model();
      const Operation read = read_signal();
      {
        auto session = MonitoredTrainingSession(
            {.checkpoint_dir = dir(),
             .hooks = {Tracer("A"), FailingRuns(&disk, runs, error), StopAtStepHook({.last_step = 5})},
             .save_checkpoint_steps = 1});
        while (!session.should_stop()) session.run(std::vector<Fetch>{model.train, read});
      }
      EXPECT_EQ(count("A.after_create_session"), 1 + static_cast<long>(runs.size()));
      EXPECT_EQ(count("A.begin"), 1);
      EXPECT_EQ(trace().back(), "A.end");
      EXPECT_EQ(*latest_checkpoint(dir()), dir() + "/model.ckpt-5");
    }
  }
}

TEST_F(FaultsTest, another_error_of_an_op_leaves_the_session) {
  FaultyFileSystem disk("signal");
  ASSERT_TRUE(write_file("signal://file", "x").ok());
  auto as_default = Graph().as_default();
  const Model model = make_model();
  const Operation read = read_signal();
  const FailingRuns second(&disk, {2}, absl::DataLossError("bad sector"));
  EXPECT_THAT(error_of<errors::DataLossError>([&] {
                MonitoredSession session({.hooks = {Tracer("A"), second}});
                while (!session.should_stop()) session.run(std::vector<Fetch>{model.train, read});
              }),
              HasSubstr("bad sector"));
  EXPECT_EQ(count("A.after_run"), 1);
  EXPECT_EQ(count("A.end"), 0);
}

// Writers of events whose disk failed stay so.
void forget_writers() {
  try {
    summary::FileWriterCache::clear();
  } catch (const errors::OpError&) {
  }
}

// Trains up to a step on a disk that may fail; true if it got there.
bool train_on(const std::string& directory, int64_t last_step, const std::function<void()>& at_first_run) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  bool first = true;
  try {
    auto session = MonitoredTrainingSession({.checkpoint_dir = directory,
                                             .hooks = {Tracer("A"), StopAtStepHook({.last_step = last_step})},
                                             .save_checkpoint_steps = 2,
                                             .save_summaries_steps = std::nullopt,
                                             .log_step_count_steps = std::nullopt});
    while (!session.should_stop()) {
      if (first) at_first_run();
      first = false;
      session.run(model.train);
    }
    return true;
  } catch (const errors::OpError&) {
    return false;
  }
}

TEST_F(FaultsTest, a_disk_that_fails_anywhere_in_a_save_leaves_a_whole_checkpoint) {
  FaultyFileSystem disk("fails");
  const std::string run = "fails://run";
  ASSERT_TRUE(train_on(run, 2, [] {}));
  int64_t last_step = 2;
  bool whole = false;
  int faults = 0;
  // The fault comes one operation later each time, until the save is done before it.
  for (int64_t operation = 0; !whole && operation < 1000; ++operation) {
    last_step += 2;
    whole = train_on(run, last_step, [&] { disk.fail_from(operation, absl::ResourceExhaustedError("disk full")); });
    disk.clear_faults();
    faults += whole ? 0 : 1;
    forget_writers();
    // What is there can be read, and the next run starts from it.
    const std::optional<std::string> checkpoint = latest_checkpoint(run);
    ASSERT_TRUE(checkpoint) << operation;
    ASSERT_NO_THROW(load_variable(*checkpoint, "w")) << *checkpoint;
    trace().clear();
    ASSERT_TRUE(train_on(run, last_step, [] {})) << operation;
    ASSERT_NE(trace()[1], "A.after_create_session 0") << "started anew after operation " << operation;
  }
  EXPECT_TRUE(whole);
  EXPECT_GT(faults, 5);
  forget_writers();  // while the disk is there
}

TEST_F(FaultsTest, a_session_ends_at_once_while_enqueues_wait_for_room) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  const FIFOQueue queue(1, {int64}, {.shapes = {PartialTensorShape::scalar()}});
  const Operation put = queue.enqueue({Tensor(int64_t{1})});
  add_queue_runner(QueueRunner(queue, {put, put, put}));
  const auto start = std::chrono::steady_clock::now();
  {
    MonitoredSession session({.hooks = {Tracer("A"), StopAtStepHook({.last_step = 2})}});
    while (!session.should_stop()) session.run(model.train);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));  // not the grace period
  EXPECT_EQ(trace().back(), "A.end");
}

TEST_F(FaultsTest, closing_a_queue_ends_enqueues_that_wait_and_dequeues_get_the_rest) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue(1, {int64}, {.shapes = {PartialTensorShape::scalar()}});
  const Operation put = queue.enqueue({Tensor(int64_t{1})});
  const Output get = queue.dequeue()[0], size = queue.size();
  const Operation close = queue.close({.cancel_pending_enqueues = true});
  const Session session;
  session.run(put);
  std::string error;
  std::thread waits([&] { error = error_of<errors::CancelledError>([&] { session.run(put); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  session.run(close);
  waits.join();
  EXPECT_THAT(error, testing::AnyOf(HasSubstr("was cancelled"), HasSubstr("is closed")));
  EXPECT_EQ(session.run({get})[0].scalar<int64_t>(), 1);
  EXPECT_THROW(session.run({get}), errors::OutOfRangeError);
  EXPECT_EQ(session.run({size})[0].scalar<int32_t>(), 0);
}

TEST_F(FaultsTest, training_goes_on_without_its_summary_folder) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  const std::string summaries = dir() + "/summaries";
  {
    auto session = MonitoredTrainingSession({.checkpoint_dir = dir() + "/run",
                                             .hooks = {Tracer("A"), StopAtStepHook({.last_step = 9})},
                                             .save_checkpoint_steps = 100,
                                             .save_summaries_steps = 1,
                                             .log_step_count_steps = 2,
                                             .summary_dir = summaries});
    for (int run = 0; !session.should_stop(); ++run) {
      if (run == 3) std::filesystem::remove_all(summaries);
      session.run(model.train);
    }
  }
  EXPECT_EQ(trace().back(), "A.end");
  EXPECT_EQ(*latest_checkpoint(dir() + "/run"), dir() + "/run/model.ckpt-9");
}

}  // namespace
}  // namespace millrace::train
