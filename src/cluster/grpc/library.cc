// What cluster/transport.cc finds in libmillrace_cluster.so.

#include "cluster/grpc/grpc_transport.h"

extern "C" [[gnu::visibility("default")]] millrace::Transport* millrace_cluster_transport() {
  return millrace::grpc_transport();
}
