#pragma once
// Ends several threads together: any may ask all to stop, and the first error is the one that counts.
//
//   tf::train::Coordinator coord;
//   tf::train::Thread reader("reader", [&] { coord.stop_on_exception([&] { while (!coord.should_stop()) ...; }); });
//   coord.register_thread(reader);
//   reader.start();
//   ...
//   coord.request_stop();  coord.join();
// Thread-safe.

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "millrace/errors.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// A named thread whose end others can wait for, with patience of their own. A handle: copies are the same thread. As
// TF1's daemon threads it runs on where nobody waits for it, so what its body refers to must outlive the body. What the
// body throws is logged.
class Thread {
 public:
  Thread(std::string name, std::function<void()> body);
  void start();                                                // once; FailedPreconditionError the second time
  bool is_alive() const;                                       // started, and not at its end yet
  void join() const;                                           // at once if it was not started
  bool join_for(std::chrono::duration<double> timeout) const;  // false if it is alive still
  const std::string& name() const;

 private:
  struct [[gnu::visibility("hidden")]] State;
  std::shared_ptr<State> state_;
};

struct CoordinatorOptions {
  // Errors that mean a clean stop, not a failure: by default that the input has ended.
  std::vector<errors::Code> clean_stop_exception_types = {errors::Code::kOutOfRange};
};

struct JoinOptions {
  double stop_grace_period_secs = 120;
  bool ignore_live_threads = false;
};

class Coordinator {
 public:
  explicit Coordinator(const CoordinatorOptions& options = {});
  ~Coordinator();  // asks to stop and waits for the threads that are registered still
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  void request_stop();
  // Stops because of an error: the first one is thrown by join, and by this itself if join has been already.
  void request_stop(const std::exception_ptr& error);
  void clear_stop();
  bool should_stop() const;
  // Runs `body`; what it throws becomes a request to stop.
  void stop_on_exception(const std::function<void()>& body);
  // Waits until stop is requested; false if that did not happen in time. Without a time: for as long as it takes.
  bool wait_for_stop(std::optional<std::chrono::duration<double>> timeout = {}) const;
  void raise_requested_exception() const;

  void register_thread(const Thread& thread);
  // Waits for `threads` and the registered ones: as long as it takes until stop is requested, then for the grace
  // period. Throws the error that stopped them; FailedPreconditionError (TF1's RuntimeError) naming threads that did
  // not end, unless these are ignored. They run on then, and what they refer to must outlive them.
  void join(const std::vector<Thread>& threads = {}, const JoinOptions& options = {});
  bool joined() const;
  // Of those that the last join gave up on, the ones that live still.
  std::vector<std::string> live_threads() const;

 private:
  struct [[gnu::visibility("hidden")]] State;
  std::shared_ptr<State> state_;
};

// A thread that calls something again and again, back to back or on a timer, until the coordinator is asked to stop.
// An exception stops the coordinator. Made by std::make_shared, as the thread keeps it alive; or by loop().
class LooperThread : public std::enable_shared_from_this<LooperThread> {
 public:
  // The first call comes at once; without an interval the next follows straight away.
  // `name` is the thread's, for what is said of threads that do not stop.
  LooperThread(Coordinator& coord, std::optional<double> timer_interval_secs, std::function<void()> target = {},
               const std::string& name = "LooperThread");
  virtual ~LooperThread() = default;
  LooperThread(const LooperThread&) = delete;
  LooperThread& operator=(const LooperThread&) = delete;

  static std::shared_ptr<LooperThread> loop(Coordinator& coord, std::optional<double> timer_interval_secs,
                                            std::function<void()> target);
  void start();
  const Thread& thread() const { return thread_; }

 protected:
  virtual void start_loop() {}
  virtual void stop_loop() {}
  virtual void run_loop();  // calls target

 private:
  void run();

  Coordinator& coord_;
  std::optional<double> interval_;
  std::function<void()> target_;
  std::shared_ptr<std::shared_ptr<LooperThread>> self_;  // set when started: keeps this alive while the thread runs
  Thread thread_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
