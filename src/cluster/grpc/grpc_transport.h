#pragma once
// The transport over gRPC. libmillrace_cluster.so hands it out (library.cc); programs of the tree that link the layers
// give it to use_transport.

#include "cluster/transport.h"

namespace millrace {

Transport* grpc_transport();

}  // namespace millrace
