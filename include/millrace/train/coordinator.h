#pragma once
// Ends several threads together: any may ask all to stop, and the first error is the one that counts.
//
//   tf::train::Coordinator coord;
//   std::thread worker([&] { while (!coord.should_stop()) ...; });
//   coord.request_stop();  coord.join({...});
// Thread-safe.

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millrace::train {

#pragma GCC visibility push(default)

class Coordinator {
 public:
  Coordinator();
  ~Coordinator();  // joins the registered threads
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  void request_stop();
  // Stops because of an error; the first one is thrown by join. OutOfRange and Cancelled count as a clean end unless
  // clean_stop was cleared.
  void request_stop(std::exception_ptr error);
  void clear_stop();
  bool should_stop() const;
  // Waits until stop is requested; false if that did not happen in time.
  bool wait_for_stop(std::chrono::milliseconds timeout) const;
  void raise_requested_exception() const;

  void register_thread(std::string name, std::thread thread);
  // Waits for the registered threads: as long as it takes until stop is requested, then for the grace period. Throws
  // the error that stopped them; InternalError (TF1's RuntimeError) naming threads that did not end, unless these are
  // ignored.
  void join(std::chrono::milliseconds stop_grace_period = std::chrono::seconds(120), bool ignore_live_threads = false);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
