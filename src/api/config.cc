#include "api/config.h"

#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace {

SessionCoreOptions core_options(const ConfigProto& config) {
  SessionCoreOptions core;
  RuntimeOptions& runtime = core.runtime;
  runtime.intra_op_parallelism_threads = config.intra_op_parallelism_threads;
  runtime.inter_op_parallelism_threads = config.inter_op_parallelism_threads;
  runtime.allow_soft_placement = config.allow_soft_placement;
  runtime.log_device_placement = config.log_device_placement;
  const OptimizerOptions& optimizer = config.graph_options.optimizer_options;
  const bool optimize = optimizer.opt_level != OptimizerOptions::L0;
  runtime.constant_folding = optimize && optimizer.do_constant_folding;
  runtime.common_subexpressions = optimize && optimizer.do_common_subexpression_elimination;
  runtime.inline_functions = optimize && optimizer.do_function_inlining;
  runtime.arithmetic = runtime.fusion = optimize;
  if (const auto cpus = config.device_count.find("CPU"); cpus != config.device_count.end())
    core.num_cpu_devices = cpus->second;
  core.operation_timeout_in_ms = config.operation_timeout_in_ms;
  return core;
}

tensorflow::ConfigProto config_proto(const ConfigProto& config) {
  tensorflow::ConfigProto proto;
  for (const auto& [type, count] : config.device_count) (*proto.mutable_device_count())[type] = count;
  proto.set_intra_op_parallelism_threads(config.intra_op_parallelism_threads);
  proto.set_inter_op_parallelism_threads(config.inter_op_parallelism_threads);
  proto.set_allow_soft_placement(config.allow_soft_placement);
  proto.set_log_device_placement(config.log_device_placement);
  proto.set_operation_timeout_in_ms(config.operation_timeout_in_ms);
  proto.set_isolate_session_state(config.isolate_session_state);
  const OptimizerOptions& from = config.graph_options.optimizer_options;
  // TensorFlow's optimizers stand in two messages, whose flags ask in opposite ways.
  tensorflow::OptimizerOptions* const optimizer = proto.mutable_graph_options()->mutable_optimizer_options();
  if (from.opt_level == OptimizerOptions::L0) optimizer->set_opt_level(tensorflow::OptimizerOptions::L0);
  tensorflow::RewriterConfig* const rewrite = proto.mutable_graph_options()->mutable_rewrite_options();
  if (!from.do_constant_folding) rewrite->set_constant_folding(tensorflow::RewriterConfig::OFF);
  if (!from.do_common_subexpression_elimination)
    rewrite->set_common_subgraph_elimination(tensorflow::RewriterConfig::OFF);
  if (!from.do_function_inlining) rewrite->set_function_optimization(tensorflow::RewriterConfig::OFF);
  return proto;
}

}  // namespace millrace
