#include "runtime/schedule.h"

#include <algorithm>

namespace millrace {
namespace {

bool has_value(const InputValue& value) { return value.tensor.has_value() || value.variable != nullptr; }

void clear(InputValue& value) {
  value.tensor.reset();
  value.variable.reset();
}

}  // namespace

namespace {
absl::Status too_deep() { return resource_exhausted("functions call each other more than ", kMaxCallDepth, " deep"); }
}  // namespace

// What an asynchronous kernel works with until it calls done.
struct Schedule::AsyncCall {
  std::shared_ptr<Schedule> schedule;
  Ready ready;
  KernelContext context;
  int64_t start = 0;
};

Schedule::Schedule(std::shared_ptr<const Program> program, std::unique_ptr<Step> step, const RunContext& context)
    : program_(std::move(program)),
      step_(std::move(step)),
      context_(context),
      scope_(std::in_place, context.cancellation),
      max_drivers_(std::max(1, program_->runtime_.options().inter_op_parallelism_threads)),
      depth_(call_depth() + 1) {
  step_->begin(&*scope_);
  free_iterations_.resize(program_->frames_.size());
}

Schedule::~Schedule() = default;

std::unique_ptr<Schedule::Iteration> Schedule::new_iteration(uint32_t frame) {
  const Program::Frame& info = program_->frames_[frame];
  std::unique_ptr<Iteration> made;
  if (auto& free = free_iterations_[frame]; !free.empty()) {
    made = std::move(free.back());
    free.pop_back();
  } else {
    made = std::make_unique<Iteration>();
    made->inputs.resize(info.num_slots);
    made->outputs.resize(info.num_outputs);
    made->counts.resize(info.num_ops);
    for (const auto& [slot, constant] : info.constants) made->inputs[slot].tensor = program_->constants_[constant];
  }
  for (size_t i = 0; i < info.ops.size(); ++i) made->counts[i] = {program_->ops_[info.ops[i]].pending, 0};
  return made;
}

void Schedule::recycle(uint32_t frame, std::unique_ptr<Iteration> iteration) {
  // What dead ops and untaken branches left in their slots.
  for (const uint32_t i : program_->frames_[frame].ops) {
    const Program::Op& op = program_->ops_[i];
    for (uint32_t c = op.clear_begin; c < op.clear_end; ++c) clear(iteration->inputs[program_->clears_[c]]);
  }
  iteration->children.clear();
  free_iterations_[frame].push_back(std::move(iteration));
}

absl::Status Schedule::run(std::span<Tensor> feeds, bool take_feeds) {
  if (depth_ > kMaxCallDepth) return too_deep();
  std::unique_lock lock(mutex_);
  start(feeds, take_feeds);
  while (outstanding_ > 0) {
    if (ready_.empty()) {
      caller_waits_ = true;
      changed_.wait(lock);
      caller_waits_ = false;
    } else {
      ++drivers_;
      drive(lock);
      --drivers_;
    }
  }
  finished_ = true;
  // Helpers that come late find nothing to do; what they could touch of the run is let go of here.
  lock.unlock();
  scope_.reset();
  return status_;
}

void Schedule::run_async(std::span<Tensor> feeds, std::function<void(absl::Status)> done) {
  if (depth_ > kMaxCallDepth) {
    scope_.reset();
    done(too_deep());
    return;
  }
  std::unique_lock lock(mutex_);
  synchronous_ = false;
  done_ = std::move(done);
  start(feeds, /*take_feeds=*/true);
  ++drivers_;
  drive(lock);
  --drivers_;
  settle(lock);
}

// After a thread has done what it could: ends the run if nothing is left, or has others go on. Lets go of the lock.
void Schedule::settle(std::unique_lock<std::mutex>& lock) {
  if (synchronous_) {
    if (caller_waits_ && (outstanding_ == 0 || !ready_.empty())) changed_.notify_all();
    return;
  }
  if (partial_) settle_partial(lock);
  if (outstanding_ > 0) {
    if (!ready_.empty() && drivers_ == 0) help();
    return;
  }
  end(lock);
}

void Schedule::end(std::unique_lock<std::mutex>& lock) {
  if (std::exchange(finished_, true)) return;
  const bool cancelled = scope_->is_cancelled();
  lock.unlock();
  const auto end = [self = shared_from_this()] {
    self->scope_.reset();
    std::exchange(self->done_, nullptr)(self->status_);
  };
  // Whoever cancelled the scope may stand further down this thread's stack and come back to it. On another thread the
  // scope's end waits for that.
  if (cancelled) program_->runtime_.schedule(end);
  else end();
}

// --- partial runs

void Schedule::start_partial(std::function<void(absl::Status)> ended) {
  std::unique_lock lock(mutex_);
  synchronous_ = false;
  done_ = std::move(ended);
  partial_ = std::make_unique<Partial>();
  partial_->unfed = program_->num_feeds();
  partial_->arrived.resize(program_->frames_[0].num_slots);
  outstanding_ += partial_->unfed;
  // Without this nothing would notice while no op runs.
  const auto token = scope_->on_cancel([run = weak_from_this()] {
    const auto self = run.lock();
    if (!self) return;
    std::unique_lock cancel_lock(self->mutex_);
    if (self->finished_) return;
    self->fail(self->scope_->status());
    if (self->drivers_ == 0) self->settle(cancel_lock);
  });
  if (!token) fail(scope_->status());
  start({}, /*take_feeds=*/false);
  ++drivers_;
  drive(lock);
  --drivers_;
  settle(lock);
}

void Schedule::feed(std::vector<std::pair<int, Tensor>> feeds) {
  std::unique_lock lock(mutex_);
  if (finished_ || !status_.ok()) return;
  for (auto& [feed, tensor] : feeds) {
    for (const Program::Edge& edge : program_->feeds_[static_cast<size_t>(feed)].edges) {
      InputValue value;
      value.tensor = tensor;
      deliver_edge(edge, &value, true, &root_, 0);
    }
    tensor.reset();
    --partial_->unfed;
    --outstanding_;
  }
  ++drivers_;
  drive(lock);
  --drivers_;
  settle(lock);
}

void Schedule::when_fetched(std::vector<uint32_t> slots, Fetched done) {
  std::unique_lock lock(mutex_);
  Waiter waiter{std::move(slots), 0, std::move(done)};
  if (!finished_ && status_.ok()) {
    for (const uint32_t slot : waiter.slots) waiter.missing += partial_->arrived[slot] == 0;
  }
  if (waiter.missing > 0) {
    partial_->waiters.push_back(std::move(waiter));
    return;
  }
  partial_->answers.push_back(std::move(waiter));
  answer(lock);
}

void Schedule::fetch_arrived(uint32_t slot) {
  partial_->arrived[slot] = 1;
  std::erase_if(partial_->waiters, [&](Waiter& waiter) {
    if (std::ranges::find(waiter.slots, slot) == waiter.slots.end() || --waiter.missing > 0) return false;
    partial_->answers.push_back(std::move(waiter));
    return true;
  });
}

// Calls those who wait for what is there, or for a run that has failed or ended.
void Schedule::answer(std::unique_lock<std::mutex>& lock) {
  while (!partial_->answers.empty()) {
    Waiter waiter = std::move(partial_->answers.back());
    partial_->answers.pop_back();
    const absl::Status status = status_;
    std::vector<Tensor> values;
    for (const uint32_t slot : waiter.slots) {
      if (status.ok()) values.push_back(std::move(root_.iterations.front()->inputs[slot].tensor));
    }
    lock.unlock();
    waiter.done(status, std::move(values));
    lock.lock();
  }
}

// A run that has failed waits for no more feeds, and nobody waits for its fetches.
void Schedule::settle_partial(std::unique_lock<std::mutex>& lock) {
  if (!status_.ok()) outstanding_ -= std::exchange(partial_->unfed, 0);
  if (!status_.ok() || (outstanding_ == 0 && ready_.empty())) {
    for (Waiter& waiter : partial_->waiters) partial_->answers.push_back(std::move(waiter));
    partial_->waiters.clear();
  }
  answer(lock);
}

void Schedule::start(std::span<Tensor> feeds, bool take_feeds) {
  root_.id = 0;
  root_.iterations.push_back(new_iteration(0));
  const std::vector<uint32_t>& ops = program_->frames_[0].ops;
  for (const uint32_t i : ops) {
    if (program_->ops_[i].pending == 0) make_ready(i, &root_, 0, false);
  }
  for (size_t f = 0; f < feeds.size(); ++f) {
    const auto& edges = program_->feeds_[f].edges;
    for (size_t e = 0; e < edges.size(); ++e) {
      InputValue value;
      if (take_feeds && e + 1 == edges.size()) value.tensor = std::move(feeds[f]);
      else value.tensor = feeds[f];
      deliver_edge(edges[e], &value, true, &root_, 0);
    }
  }
}

// Runs ready ops until there are none.
void Schedule::drive(std::unique_lock<std::mutex>& lock) {
  if (ready_.empty()) return;
  const ComputeGuard guard(program_->runtime_.options());
  const int depth_before = std::exchange(call_depth(), depth_);
  while (!ready_.empty()) {
    if (ready_.size() > 1 && drivers_ < max_drivers_) {
      if (caller_waits_) changed_.notify_one();
      else help();
    }
    const Ready ready = ready_.front();
    ready_.pop_front();
    process(ready, lock);
    if (partial_ && !partial_->answers.empty()) answer(lock);
  }
  call_depth() = depth_before;
}

// Calls in another compute thread.
void Schedule::help() {
  ++drivers_;
  program_->runtime_.schedule([self = shared_from_this()] {
    std::unique_lock lock(self->mutex_);
    self->drive(lock);
    --self->drivers_;
    self->settle(lock);
  });
}

void Schedule::process(const Ready& ready, std::unique_lock<std::mutex>& lock) {
  const Program::Op& op = program_->ops_[ready.op];
  if (status_.ok() && scope_->is_cancelled()) fail(scope_->status());
  if (!status_.ok() || ready.dead) {
    finish_op(ready, absl::OkStatus(), lock);
    return;
  }
  Iteration& iteration = ready.frame->at(ready.iteration);
  const std::span<InputValue> inputs(iteration.inputs.data() + op.input_begin, op.num_inputs);
  const std::span<InputValue> outputs(iteration.outputs.data() + op.output_begin, op.num_outputs);
  lock.unlock();
  absl::Status status =
      dereference({program_->derefs_.data() + op.deref_begin, op.deref_end - op.deref_begin}, iteration.inputs.data());
  if (status.ok() && op.check_contract) {
    lock.lock();
    const bool known = step_->shapes_as_seen(op, ready.op, inputs);
    lock.unlock();
    if (!known) {
      status = check_contract(op, inputs);
      lock.lock();
      if (status.ok()) step_->remember_shapes(op, ready.op, inputs);
      lock.unlock();
    }
  }
  if (status.ok() && op.is_async) {
    compute_async(ready, inputs, outputs);
    lock.lock();
    return;
  }
  const int64_t start = context_.stats ? wall_nanos() : 0;
  if (status.ok()) {
    try {
      KernelContext context(op.state->info, program_->output_types(op), inputs, outputs, step_.get());
      status = op.kernel->compute(context);
    } catch (...) {
      status = exception_status();
    }
  }
  if (!status.ok()) status = node_error(*op.state, inputs, status);
  if (context_.stats) record_node(*op.state, start, outputs, context_.stats);
  lock.lock();
  finish_op(ready, status, lock);
}

void Schedule::compute_async(const Ready& ready, std::span<InputValue> inputs, std::span<InputValue> outputs) {
  const Program::Op& op = program_->ops_[ready.op];
  auto* call = new AsyncCall{shared_from_this(), ready,
                             KernelContext(op.state->info, program_->output_types(op), inputs, outputs, step_.get()),
                             context_.stats ? wall_nanos() : 0};
  // A kernel that throws after calling done must not be answered for twice.
  auto answered = std::make_shared<std::atomic<bool>>(false);
  const auto done = [this, call, answered](absl::Status status) {
    if (!answered->exchange(true)) async_done(call, std::move(status));
  };
  try {
    static_cast<AsyncKernel*>(op.kernel)->compute_async(call->context, done);
  } catch (...) {
    done(exception_status());
  }
}

// On any thread.
void Schedule::async_done(AsyncCall* call, absl::Status status) {
  const std::unique_ptr<AsyncCall> owned(call);
  const std::shared_ptr<Schedule> keep = call->schedule;
  const Program::Op& op = program_->ops_[call->ready.op];
  Iteration* iteration = nullptr;
  {
    std::unique_lock lock(mutex_);
    iteration = &call->ready.frame->at(call->ready.iteration);
  }
  const std::span<InputValue> inputs(iteration->inputs.data() + op.input_begin, op.num_inputs);
  if (!status.ok()) status = node_error(*op.state, inputs, status);
  if (context_.stats) {
    record_node(*op.state, call->start, {iteration->outputs.data() + op.output_begin, op.num_outputs}, context_.stats);
  }
  std::unique_lock lock(mutex_);
  finish_op(call->ready, status, lock);
  if (drivers_ == 0 || synchronous_) settle(lock);
}

void Schedule::fail(absl::Status status) {
  if (!status_.ok()) return;
  status_ = std::move(status);
}

void Schedule::finish_op(const Ready& ready, const absl::Status& status, std::unique_lock<std::mutex>& lock) {
  const Program::Op& op = program_->ops_[ready.op];
  Iteration& iteration = ready.frame->at(ready.iteration);
  for (uint32_t c = op.clear_begin; c < op.clear_end; ++c) clear(iteration.inputs[program_->clears_[c]]);
  const bool was_ok = status_.ok();
  if (!status.ok()) {
    // After the session or a timeout has cancelled the step, that is what happened.
    fail(scope_->is_cancelled() && absl::IsCancelled(status) && !absl::IsCancelled(scope_->status()) ? scope_->status()
                                                                                                     : status);
  }
  if (status_.ok()) propagate(ready);
  const std::span<InputValue> outputs(iteration.outputs.data() + op.output_begin, op.num_outputs);
  for (InputValue& value : outputs) clear(value);
  if (was_ok && !status_.ok()) {
    const absl::Status reason = status_;
    ++outstanding_;  // the step must not end while callbacks run
    lock.unlock();
    scope_->cancel(cancelled("the step has failed: ", to_std(reason.message())));
    lock.lock();
    --outstanding_;
  }
  --outstanding_;
  --iteration.outstanding;
  if (status_.ok()) clean_up(ready.frame);
}

void Schedule::propagate(const Ready& ready) {
  const Program::Op& op = program_->ops_[ready.op];
  Iteration& iteration = ready.frame->at(ready.iteration);
  const std::span<InputValue> outputs(iteration.outputs.data() + op.output_begin, op.num_outputs);
  if (!ready.dead && op.flow != FlowKind::kSwitch) {
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (!has_value(outputs[o])) {
        fail(node_error(*op.state, {}, missing_output(*op.state, o)));
        return;
      }
    }
  }
  switch (op.flow) {
    case FlowKind::kEnter: enter(ready, op, outputs); return;
    case FlowKind::kNextIteration: next_iteration(ready, op, outputs); return;
    case FlowKind::kExit:
      if (ready.dead) {
        if (ready.iteration == ready.frame->newest()) ready.frame->dead_exits.push_back(ready.op);
        return;
      }
      deliver(op, outputs, false, ready.frame->parent, ready.frame->parent_iteration, false);
      return;
    default: deliver(op, outputs, ready.dead, ready.frame, ready.iteration, false);
  }
}

void Schedule::deliver(const Program::Op& op, std::span<InputValue> outputs, bool dead, LiveFrame* frame,
                       int64_t iteration, bool keep) {
  for (uint32_t e = op.edge_begin; e < op.edge_end; ++e) {
    const Program::Edge& edge = program_->edges_[e];
    const bool last = e + 1 == op.edge_end || program_->edges_[e + 1].output != edge.output;
    InputValue* const value = dead || !has_value(outputs[edge.output]) ? nullptr : &outputs[edge.output];
    deliver_edge(edge, value, last && !keep, frame, iteration);
  }
  for (uint32_t c = op.control_begin; c < op.control_end; ++c)
    deliver_control(program_->controls_[c], dead, frame, iteration);
}

// `value` is null for a dead one.
void Schedule::deliver_edge(const Program::Edge& edge, InputValue* value, bool move, LiveFrame* frame,
                            int64_t iteration) {
  Iteration& target = frame->at(iteration);
  const auto put = [&] {
    if (move) target.inputs[edge.slot] = std::move(*value);
    else target.inputs[edge.slot] = *value;
  };
  if (edge.op == Program::kFetch) {
    if (value) put();
    if (partial_) fetch_arrived(edge.slot);
    return;
  }
  const Program::Op& op = program_->ops_[edge.op];
  Counts& counts = target.counts[op.local];
  if (op.flow == FlowKind::kMerge) {
    if (value == nullptr) {
      if (++counts.dead == op.dead_limit && counts.pending == 1) make_ready(edge.op, frame, iteration, true);
    } else if (counts.pending & 1) {
      put();
      if (--counts.pending == 0) make_ready(edge.op, frame, iteration, false);
    }
    return;
  }
  if (value) put();
  else ++counts.dead;
  if (--counts.pending == 0) make_ready(edge.op, frame, iteration, counts.dead > 0);
}

void Schedule::deliver_control(uint32_t to, bool dead, LiveFrame* frame, int64_t iteration) {
  const Program::Op& op = program_->ops_[to];
  Counts& counts = frame->at(iteration).counts[op.local];
  if (op.flow == FlowKind::kMerge) {
    counts.pending -= 2;
    const bool all_dead = counts.dead >= op.dead_limit;
    if (counts.pending == 0 || (counts.pending == 1 && all_dead)) make_ready(to, frame, iteration, all_dead);
    return;
  }
  if (dead) ++counts.dead;
  if (--counts.pending == 0) make_ready(to, frame, iteration, counts.dead > 0);
}

void Schedule::make_ready(uint32_t op, LiveFrame* frame, int64_t iteration, bool dead) {
  if (program_->ops_[op].flow == FlowKind::kControlTrigger) dead = false;
  ++outstanding_;
  ++frame->at(iteration).outstanding;
  ready_.push_back({op, frame, iteration, dead});
}

// --- loops

void Schedule::enter(const Ready& ready, const Program::Op& op, std::span<InputValue> outputs) {
  Iteration& from = ready.frame->at(ready.iteration);
  LiveFrame* child = nullptr;
  for (const auto& c : from.children) {
    if (c->id == op.child_frame) child = c.get();
  }
  if (child == nullptr) {
    from.children.push_back(std::make_unique<LiveFrame>());
    child = from.children.back().get();
    child->id = op.child_frame;
    child->parent = ready.frame;
    child->parent_iteration = ready.iteration;
    child->missing_enters = program_->frames_[op.child_frame].num_enters;
    add_iteration(child);
  }
  --child->missing_enters;
  if (op.is_constant_enter) {
    if (ready.dead) child->dead_constants.push_back(ready.op);
    else child->constants.emplace_back(ready.op, outputs[0]);
    for (int64_t i = child->first; i <= child->newest(); ++i) deliver(op, outputs, ready.dead, child, i, true);
  } else if (child->first == 0) {
    deliver(op, outputs, ready.dead, child, 0, false);
  }
  clean_up(child);
}

void Schedule::next_iteration(const Ready& ready, const Program::Op& op, std::span<InputValue> outputs) {
  if (ready.dead) return;
  LiveFrame* frame = ready.frame;
  if (ready.iteration == frame->newest()) {
    if (static_cast<int>(frame->iterations.size()) >= program_->frames_[frame->id].parallel_iterations) {
      frame->waiting.emplace_back(ready.op, std::move(outputs[0]));
      return;
    }
    add_iteration(frame);
  }
  deliver(op, outputs, false, frame, ready.iteration + 1, false);
}

Schedule::Iteration& Schedule::add_iteration(LiveFrame* frame) {
  frame->iterations.push_back(new_iteration(frame->id));
  frame->dead_exits.clear();
  const int64_t number = frame->newest();
  const std::span<InputValue> none;
  for (auto& [op, value] : frame->constants) deliver(program_->ops_[op], {&value, 1}, false, frame, number, true);
  for (const uint32_t op : frame->dead_constants) deliver(program_->ops_[op], none, true, frame, number, true);
  return *frame->iterations.back();
}

// Lets values that waited for room start the next iteration.
void Schedule::advance(LiveFrame* frame) {
  if (frame->waiting.empty()) return;
  auto waiting = std::move(frame->waiting);
  frame->waiting.clear();
  add_iteration(frame);
  for (auto& [op, value] : waiting) deliver(program_->ops_[op], {&value, 1}, false, frame, frame->newest(), false);
}

// Lets go of iterations that have ended, in order, and of the frame when it has; then of the frames around it.
void Schedule::clean_up(LiveFrame* frame) {
  while (frame != &root_) {
    while (!frame->iterations.empty()) {
      Iteration& oldest = *frame->iterations.front();
      if (oldest.outstanding > 0 || !oldest.children.empty() || frame->missing_enters > 0) return;
      if (frame->iterations.size() == 1 && frame->waiting.empty()) break;
      if (frame->iterations.size() == 1) advance(frame);
      recycle(frame->id, std::move(frame->iterations.front()));
      frame->iterations.pop_front();
      ++frame->first;
      if (!frame->waiting.empty()) advance(frame);
    }
    // The newest iteration has ended and starts no other: the loop has ended.
    LiveFrame* parent = frame->parent;
    const int64_t iteration = frame->parent_iteration;
    const std::vector<uint32_t> dead_exits = std::move(frame->dead_exits);
    recycle(frame->id, std::move(frame->iterations.front()));
    frame->iterations.pop_front();
    std::erase_if(parent->at(iteration).children, [&](const auto& c) { return c.get() == frame; });
    for (const uint32_t op : dead_exits) {
      deliver(program_->ops_[op], {}, true, parent, iteration, false);
    }
    frame = parent;
  }
}

}  // namespace millrace
