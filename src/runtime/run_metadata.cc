#include "runtime/run_metadata.h"

#include <map>

#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace {
namespace {

void add_node(const NodeStats& n, tensorflow::NodeExecStats* out) {
  out->set_node_name(n.node_name);
  out->set_timeline_label(n.label);
  out->set_thread_id(n.thread);
  out->set_scheduled_micros(n.scheduled_nanos / 1000);
  out->set_scheduled_nanos(n.scheduled_nanos);
  out->set_all_start_micros(n.start_nanos / 1000);
  out->set_all_start_nanos(n.start_nanos);
  const int64_t took = n.end_nanos - n.start_nanos;
  out->set_op_end_rel_micros(took / 1000);
  out->set_op_end_rel_nanos(took);
  out->set_all_end_rel_micros(took / 1000);
  out->set_all_end_rel_nanos(took);
  for (const OutputStats& o : n.outputs) {
    tensorflow::NodeOutput* output = out->add_output();
    output->set_slot(o.slot);
    output->mutable_tensor_description()->set_dtype(static_cast<tensorflow::DataType>(o.dtype));
    to_proto(PartialTensorShape(o.shape), output->mutable_tensor_description()->mutable_shape());
    auto* allocation = output->mutable_tensor_description()->mutable_allocation_description();
    allocation->set_requested_bytes(o.bytes);
    allocation->set_allocator_name("cpu");
  }
}

}  // namespace

void to_proto(const RunReport& report, tensorflow::RunMetadata* metadata) {
  std::map<std::string, tensorflow::DeviceStepStats*> devices;
  for (const NodeStats& n : report.nodes) {
    tensorflow::DeviceStepStats*& device = devices[n.device];
    if (device == nullptr) {
      device = metadata->mutable_step_stats()->add_dev_stats();
      device->set_device(n.device);
    }
    add_node(n, device->add_node_stats());
  }
  for (const std::vector<NodeDef>& graph : report.partition_graphs) {
    tensorflow::GraphDef* def = metadata->add_partition_graphs();
    for (const NodeDef& node : graph) to_proto(node, def->add_node());
    def->mutable_versions()->set_producer(kGraphProducer);
  }
}

std::string run_metadata_bytes(const RunReport& report) {
  tensorflow::RunMetadata metadata;
  to_proto(report, &metadata);
  return deterministic_bytes(metadata);
}

}  // namespace millrace
