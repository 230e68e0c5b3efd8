// Lays a plan out as a program: order, frames, slots, edges.

#include <algorithm>

#include "op/shape_context.h"
#include "runtime/program.h"
#include "runtime/step.h"

namespace millrace {

class Layout {
 public:
  Layout(Plan plan, Runtime& runtime) : runtime_(runtime), program_(new Program(runtime)) {
    program_->plan_ = std::move(plan);
  }

  absl::StatusOr<std::shared_ptr<Program>> run() {
    MR_ASSIGN_OR_RETURN(order_, topological_order(plan()));
    infer_shapes(plan(), order_);
    find_constants();
    MR_RETURN_IF_ERROR(assign_frames());
    MR_RETURN_IF_ERROR(make_ops());
    MR_RETURN_IF_ERROR(connect());
    MR_RETURN_IF_ERROR(make_fetches());
    finish();
    return program_;
  }

 private:
  Plan& plan() { return program_->plan_; }
  PlanNode& node(int i) { return plan().at(i); }
  Program::Op& op_of(int i) { return program_->ops_[op_index_[static_cast<size_t>(i)]]; }
  Program::Op& op(uint32_t i) { return program_->ops_[i]; }

  // Constants that nothing gates are put into slots for good; the others run as ops.
  void find_constants() {
    const size_t n = plan().nodes.size();
    inlined_.assign(n, -1);
    std::vector<bool> feeds_merge(n);
    for (const int i : order_) {
      if (flow_kind(node(i).op) != FlowKind::kMerge) continue;
      for (const ValueRef& input : node(i).inputs) feeds_merge[static_cast<size_t>(input.node)] = true;
    }
    for (const int i : order_) {
      if (!node(i).is_constant() || !node(i).control_inputs.empty() || feeds_merge[static_cast<size_t>(i)]) continue;
      inlined_[static_cast<size_t>(i)] = static_cast<int>(program_->constants_.size());
      program_->constants_.push_back(node(i).constant);
    }
  }
  bool is_inlined(int i) const { return inlined_[static_cast<size_t>(i)] >= 0; }

  // --- frames

  absl::StatusOr<uint32_t> output_frame(int i) {
    const uint32_t frame = frame_of_[static_cast<size_t>(i)];
    switch (flow_kind(node(i).op)) {
      case FlowKind::kEnter: return child_frame(frame, node(i));
      case FlowKind::kExit:
        if (frame == 0) return invalid_argument("The node '", node(i).name, "' (Exit) is in no frame to leave");
        return program_->frames_[frame].parent;
      default: return frame;
    }
  }

  absl::StatusOr<uint32_t> child_frame(uint32_t parent, const PlanNode& enter) {
    MR_ASSIGN_OR_RETURN(const std::string name, get_attr<std::string>(enter.info(), "frame_name"));
    for (size_t f = 1; f < program_->frames_.size(); ++f) {
      if (program_->frames_[f].parent == parent && program_->frames_[f].name == name) return static_cast<uint32_t>(f);
    }
    MR_ASSIGN_OR_RETURN(const int64_t parallel, get_attr<int64_t>(enter.info(), "parallel_iterations"));
    Program::Frame frame;
    frame.name = name;
    frame.parent = parent;
    frame.parallel_iterations = static_cast<int>(std::clamp<int64_t>(parallel, 1, 1 << 20));
    program_->frames_.push_back(std::move(frame));
    return static_cast<uint32_t>(program_->frames_.size() - 1);
  }

  absl::Status assign_frames() {
    program_->frames_.resize(1);
    frame_of_.assign(plan().nodes.size(), 0);
    std::vector<bool> placed(plan().nodes.size());
    for (const int i : order_) {
      int first = -1;
      uint32_t frame = 0;
      const auto visit = [&](int from) -> absl::Status {
        if (is_inlined(from) || !placed[static_cast<size_t>(from)]) return absl::OkStatus();  // a back edge
        MR_ASSIGN_OR_RETURN(const uint32_t f, output_frame(from));
        if (first < 0) {
          first = from;
          frame = f;
        } else if (f != frame) {
          return invalid_argument("{{node ", node(i).name, "}} has inputs from different frames. The input {{node ",
                                  node(first).name, "}} is in frame '", program_->frames_[frame].name,
                                  "'. The input {{node ", node(from).name, "}} is in frame '",
                                  program_->frames_[f].name, "'.");
        }
        return absl::OkStatus();
      };
      for (const ValueRef& input : node(i).inputs) MR_RETURN_IF_ERROR(visit(input.node));
      for (const int control : node(i).control_inputs) MR_RETURN_IF_ERROR(visit(control));
      frame_of_[static_cast<size_t>(i)] = frame;
      placed[static_cast<size_t>(i)] = true;
      if (flow_kind(node(i).op) == FlowKind::kEnter) {
        MR_ASSIGN_OR_RETURN(const uint32_t child, child_frame(frame, node(i)));
        ++program_->frames_[child].num_enters;
      }
    }
    return absl::OkStatus();
  }

  // --- ops and their slots

  bool can_fail(const PlanNode& n) const {
    const ShapeFunction shape = n.state->op ? n.state->op->shape : nullptr;
    return shape != nullptr && shape != unknown_shapes && shape != no_outputs && shape != scalar_shape &&
           shape != unchanged_shape;
  }

  absl::Status make_ops() {
    op_index_.assign(plan().nodes.size(), Program::kFetch);
    for (const int i : order_) {
      PlanNode& n = node(i);
      if (n.is_feed() || is_inlined(i)) continue;
      MR_RETURN_IF_ERROR(runtime_.ensure_kernel(*n.state));
      Program::Frame& frame = program_->frames_[frame_of_[static_cast<size_t>(i)]];
      Program::Op op;
      op.kernel = n.state->kernel.get();
      op.state = n.state.get();
      op.flow = flow_kind(n.op);
      op.is_async = op.kernel->is_async();
      op.frame = frame_of_[static_cast<size_t>(i)];
      op.local = frame.num_ops++;
      op.input_begin = frame.num_slots;
      op.num_inputs = static_cast<uint32_t>(n.inputs.size());
      frame.num_slots += op.num_inputs;
      op.output_begin = frame.num_outputs;
      op.num_outputs = static_cast<uint32_t>(n.num_outputs());
      frame.num_outputs += op.num_outputs;
      op.type_begin = static_cast<uint32_t>(program_->output_types_.size());
      program_->output_types_.insert(program_->output_types_.end(), n.info().output_types.begin(),
                                     n.info().output_types.end());
      op.seen_begin = program_->total_slots_;
      program_->total_slots_ += op.num_inputs;
      op.check_contract = !n.proven && can_fail(n) && op.flow == FlowKind::kNone;
      if (op.flow == FlowKind::kEnter) {
        MR_ASSIGN_OR_RETURN(op.child_frame, child_frame(op.frame, n));
        MR_ASSIGN_OR_RETURN(op.is_constant_enter, get_attr<bool>(n.info(), "is_constant"));
      }
      program_->max_outputs_ = std::max(program_->max_outputs_, op.num_outputs);
      program_->flat_ &= !op.is_async && (op.flow == FlowKind::kNone || op.flow == FlowKind::kControlTrigger);
      op_index_[static_cast<size_t>(i)] = static_cast<uint32_t>(program_->ops_.size());
      frame.ops.push_back(static_cast<uint32_t>(program_->ops_.size()));
      program_->ops_.push_back(op);
      program_->states_.push_back(n.state);
    }
    if (runtime_.options().inter_op_parallelism_threads > 1 && program_->ops_.size() > 1) program_->flat_ = false;
    if (plan().partial) program_->flat_ = false;
    data_edges_.resize(program_->ops_.size());
    control_edges_.resize(program_->ops_.size());
    program_->feeds_.resize(static_cast<size_t>(plan().num_feeds));
    for (const int i : order_) note_feed(i);
    for (size_t i = 0; i < plan().nodes.size(); ++i) note_feed(static_cast<int>(i));
    return absl::OkStatus();
  }

  void note_feed(int i) {
    const PlanNode& n = node(i);
    if (!n.is_feed()) return;
    Program::Feed& feed = program_->feeds_[static_cast<size_t>(n.feed)];
    feed.dtype = n.feed_type;
    feed.name = n.name;
  }

  // --- edges

  absl::Status connect() {
    for (const int i : order_) {
      if (op_index_[static_cast<size_t>(i)] == Program::kFetch) continue;
      MR_RETURN_IF_ERROR(connect_inputs(i));
      connect_controls(i);
    }
    return absl::OkStatus();
  }

  absl::Status connect_inputs(int i) {
    Program::Op& to = op_of(i);
    const PlanNode& n = node(i);
    int data = 0;
    to.deref_begin = static_cast<uint32_t>(program_->derefs_.size());
    to.clear_begin = static_cast<uint32_t>(program_->clears_.size());
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      const ValueRef& input = n.inputs[k];
      const PlanNode& from = node(input.node);
      const uint32_t slot = to.input_begin + static_cast<uint32_t>(k);
      if (is_inlined(input.node)) {
        program_->frames_[to.frame].constants.emplace_back(
            slot, static_cast<uint32_t>(inlined_[static_cast<size_t>(input.node)]));
        if (k < 64) to.constant_inputs |= uint64_t{1} << k;
        continue;
      }
      program_->clears_.push_back(slot);
      ++data;
      const Program::Edge edge{static_cast<uint32_t>(input.index), slot, op_index_[static_cast<size_t>(i)]};
      if (from.is_feed()) {
        if (to.frame != 0)
          return invalid_argument("cannot feed '", from.name, "', which is used inside the loop '",
                                  program_->frames_[to.frame].name, "'");
        program_->feeds_[static_cast<size_t>(from.feed)].edges.push_back(edge);
      } else {
        data_edges_[op_index_[static_cast<size_t>(input.node)]].push_back(edge);
        add_deref(n, k, from, input.index, slot);
      }
    }
    to.deref_end = static_cast<uint32_t>(program_->derefs_.size());
    to.clear_end = static_cast<uint32_t>(program_->clears_.size());
    to.pending = to.flow == FlowKind::kMerge ? 1 : data;
    to.dead_limit = data;
    if (to.flow == FlowKind::kMerge) {
      to.dead_limit -= static_cast<int>(std::ranges::count_if(
          n.inputs, [&](const ValueRef& v) { return flow_kind(node(v.node).op) == FlowKind::kNextIteration; }));
    }
    return absl::OkStatus();
  }

  void add_deref(const PlanNode& to, size_t k, const PlanNode& from, int output, uint32_t slot) {
    if (!is_ref(from.output_type(output))) return;
    const bool keep = is_ref(to.input_type(static_cast<int>(k)));
    const bool needs_value = !(to.state->op && to.state->op->def.allows_uninitialized_input);
    // Control flow hands references on without looking at them.
    if (keep && (!needs_value || flow_kind(to.op) != FlowKind::kNone)) return;
    program_->derefs_.push_back({slot, keep, needs_value, &from.state->info.name});
  }

  void connect_controls(int i) {
    std::vector<int> controls = node(i).control_inputs;
    std::ranges::sort(controls);
    controls.erase(std::unique(controls.begin(), controls.end()), controls.end());
    Program::Op& to = op_of(i);
    for (const int from : controls) {
      if (is_inlined(from) || node(from).is_feed()) continue;
      control_edges_[op_index_[static_cast<size_t>(from)]].push_back(op_index_[static_cast<size_t>(i)]);
      to.pending += to.flow == FlowKind::kMerge ? 2 : 1;
    }
  }

  absl::Status make_fetches() {
    for (const ValueRef& value : plan().fetches) {
      const PlanNode& from = node(value.node);
      MR_ASSIGN_OR_RETURN(const uint32_t frame, output_frame(value.node));
      if (frame != 0) {
        return invalid_argument("Operation '", from.name,
                                "' has been marked as not fetchable: it is part of the loop '",
                                program_->frames_[frame].name, "'");
      }
      Program::Fetch fetch;
      fetch.dtype = base_dtype(from.output_type(value.index));
      fetch.source = from.name;
      if (from.is_feed()) {
        fetch.feed = from.feed;
      } else if (is_inlined(value.node)) {
        fetch.constant = inlined_[static_cast<size_t>(value.node)];
      } else {
        fetch.slot = program_->frames_[0].num_slots++;
        data_edges_[op_index_[static_cast<size_t>(value.node)]].push_back(
            {static_cast<uint32_t>(value.index), fetch.slot, Program::kFetch});
      }
      program_->fetches_.push_back(std::move(fetch));
    }
    return absl::OkStatus();
  }

  void finish() {
    for (size_t i = 0; i < program_->ops_.size(); ++i) {
      Program::Op& op = program_->ops_[i];
      std::ranges::stable_sort(data_edges_[i], {}, &Program::Edge::output);
      op.edge_begin = static_cast<uint32_t>(program_->edges_.size());
      program_->edges_.insert(program_->edges_.end(), data_edges_[i].begin(), data_edges_[i].end());
      op.edge_end = static_cast<uint32_t>(program_->edges_.size());
      op.control_begin = static_cast<uint32_t>(program_->controls_.size());
      program_->controls_.insert(program_->controls_.end(), control_edges_[i].begin(), control_edges_[i].end());
      op.control_end = static_cast<uint32_t>(program_->controls_.size());
      if (program_->flat_ && op.num_outputs == 1 && op.edge_end > op.edge_begin) {
        op.direct_slot = static_cast<int32_t>(program_->edges_[op.edge_end - 1].slot);
      }
    }
  }

  Runtime& runtime_;
  std::shared_ptr<Program> program_;
  std::vector<int> order_;
  std::vector<int> inlined_;        // by plan node: index of constants_, or -1
  std::vector<uint32_t> frame_of_;  // by plan node
  std::vector<uint32_t> op_index_;  // by plan node; kFetch where it has no op
  std::vector<std::vector<Program::Edge>> data_edges_;
  std::vector<std::vector<uint32_t>> control_edges_;
};

absl::StatusOr<std::shared_ptr<Program>> Program::lay_out(Plan plan, Runtime& runtime) {
  return Layout(std::move(plan), runtime).run();
}

}  // namespace millrace
