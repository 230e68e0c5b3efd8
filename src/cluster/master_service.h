#pragma once
// TensorFlow's MasterService: takes calls from a transport's threads, and answers them from wherever they end.

#include "base/thread_pool.h"
#include "cluster/master.h"
#include "cluster/transport.h"

namespace millrace {

class MasterService final : public CallHandler {
 public:
  explicit MasterService(const Master::Options& options);

  Master& master() { return master_; }

  std::vector<const char*> methods() const override;
  std::unique_ptr<CallState> handle(size_t method, IncomingCall* incoming) override;

 private:
  struct Method;
  static std::span<const Method> table();
  template <class Call> std::unique_ptr<CallState> on_pool(IncomingCall* incoming);
  template <class Start> void start_step(const std::string& handle, const MasterSession::Done& done, Start start);
  template <class Call, class Run> std::unique_ptr<CallState> run_parsed(IncomingCall* incoming, Run run);
  std::unique_ptr<CallState> run_step(IncomingCall* incoming);
  std::unique_ptr<CallState> run_callable(IncomingCall* incoming);

  Master master_;
  ThreadPool pool_;  // for calls that run no steps but may take their time: large graphs
};

}  // namespace millrace
