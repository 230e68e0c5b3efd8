#pragma once
// TensorFlow's MasterService for gRPC: takes calls from its threads, and answers them from wherever they end.

#include "base/thread_pool.h"
#include "cluster/master.h"
#include "tensorflow/core/protobuf/master_service.grpc.pb.h"

namespace millrace {

class MasterService final : public tensorflow::MasterService::CallbackService {
 public:
  explicit MasterService(const Master::Options& options);

  Master& master() { return master_; }

#define MR_METHOD(Name)                                                                                          \
  grpc::ServerUnaryReactor* Name(grpc::CallbackServerContext* context, const tensorflow::Name##Request* request, \
                                 tensorflow::Name##Response* response) override;
  MR_METHOD(CreateSession)
  MR_METHOD(ExtendSession)
  MR_METHOD(PartialRunSetup)
  MR_METHOD(RunStep)
  MR_METHOD(CloseSession)
  MR_METHOD(ListDevices)
  MR_METHOD(Reset)
  MR_METHOD(MakeCallable)
  MR_METHOD(RunCallable)
  MR_METHOD(ReleaseCallable)
#undef MR_METHOD

 private:
  template <class Work> grpc::ServerUnaryReactor* call(Work work);
  template <class Start> void start_step(const std::string& handle, const MasterSession::Done& done, Start start);

  Master master_;
  ThreadPool pool_;  // for calls that run no steps but may take their time: large graphs
};

}  // namespace millrace
