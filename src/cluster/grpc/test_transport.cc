// The tests link the transport instead of opening libmillrace_cluster.so.

#include "cluster/grpc/grpc_transport.h"

namespace millrace {
namespace {

[[maybe_unused]] const bool used = [] {
  use_transport(grpc_transport());
  return true;
}();

}  // namespace
}  // namespace millrace
