#include "runtime/run_metadata.h"

#include <map>

#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "tensor/shape.h"
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

NodeStats times_of(const tensorflow::NodeExecStats& from) {
  // Older servers give microseconds only. Unsigned, for no sum of what a server says may overflow.
  const auto nanos = [](int64_t exact, int64_t micros) {
    return exact != 0 ? static_cast<uint64_t>(exact) : static_cast<uint64_t>(micros) * 1000;
  };
  const uint64_t start = nanos(from.all_start_nanos(), from.all_start_micros());
  NodeStats node;
  node.node_name = from.node_name();
  node.label = from.timeline_label();
  node.scheduled_nanos = static_cast<int64_t>(nanos(from.scheduled_nanos(), from.scheduled_micros()));
  node.start_nanos = static_cast<int64_t>(start);
  node.end_nanos = static_cast<int64_t>(start + nanos(from.all_end_rel_nanos(), from.all_end_rel_micros()));
  node.thread = from.thread_id();
  return node;
}

// Left out where its shape is none.
void add_output(const tensorflow::NodeOutput& from, NodeStats* node) {
  const tensorflow::TensorDescription& tensor = from.tensor_description();
  std::vector<int64_t> dims;
  for (const auto& dim : tensor.shape().dim()) dims.push_back(dim.size());
  const absl::StatusOr<TensorShape> shape = make_shape(dims);
  if (!shape.ok()) return;
  node->outputs.push_back(
      {from.slot(), static_cast<DataType>(tensor.dtype()), *shape, tensor.allocation_description().requested_bytes()});
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

std::vector<NodeStats> node_stats(const tensorflow::RunMetadata& metadata) {
  std::vector<NodeStats> nodes;
  for (const tensorflow::DeviceStepStats& device : metadata.step_stats().dev_stats()) {
    for (const tensorflow::NodeExecStats& from : device.node_stats()) {
      NodeStats& node = nodes.emplace_back(times_of(from));
      node.device = device.device();
      for (const tensorflow::NodeOutput& output : from.output()) add_output(output, &node);
    }
  }
  return nodes;
}

}  // namespace millrace
