#include "millrace/train/queue_runner.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "api/op_builder.h"
#include "base/log.h"
#include "tensorflow/core/protobuf/queue_runner.pb.h"

namespace millrace::train {

class QueueRunnerImpl final : public CollectionObject, public std::enable_shared_from_this<QueueRunnerImpl> {
 public:
  std::string name() const override { return queue; }
  std::string to_proto() const override { return def().SerializeAsString(); }

  tensorflow::QueueRunnerDef def() const {
    tensorflow::QueueRunnerDef def;
    def.set_queue_name(queue);
    for (const Operation& op : enqueue_ops) def.add_enqueue_op_name(op.name());
    def.set_close_op_name(close_op.name());
    def.set_cancel_op_name(cancel_op.name());
    for (const errors::Code code : closed)
      def.add_queue_closed_exception_types(static_cast<tensorflow::error::Code>(code));
    return def;
  }

  std::vector<Thread> create_threads(const Session& session, Coordinator* coord, bool start) {
    {
      const std::lock_guard lock(mutex);
      int& running = runs[session.identity()];
      if (running > 0) return {};
      running = static_cast<int>(enqueue_ops.size());
      raised.clear();
    }
    std::vector<Thread> threads;
    const std::string prefix = "QueueRunnerThread-" + queue + "-";
    for (const Operation& op : enqueue_ops) {
      threads.emplace_back(prefix + op.name(),
                           [self = shared_from_this(), session, op, coord] { self->run(session, op, coord); });
    }
    if (coord != nullptr) {
      threads.emplace_back(prefix + "close_on_stop", [self = shared_from_this(), session, coord] {
        coord->wait_for_stop();
        self->run_quietly(session, self->cancel_op);
      });
    }
    for (Thread& thread : threads) {
      if (coord != nullptr) coord->register_thread(thread);
      if (start) thread.start();
    }
    return threads;
  }

  // Enqueues until the coordinator stops or the queue is closed.
  void run(const Session& session, const Operation& enqueue_op, Coordinator* coord) {
    try {
      const Callable enqueue = session.make_callable({enqueue_op});
      while (coord == nullptr || !coord->should_stop()) {
        try {
          enqueue();
        } catch (const errors::OpError& e) {
          if (std::ranges::find(closed, e.code()) == closed.end()) throw;
          if (end_of_run(session)) run_quietly(session, close_op);
          return;
        }
      }
    } catch (const std::exception& e) {
      end_of_run(session);
      if (coord != nullptr) return coord->request_stop(std::current_exception());
      log_error("Exception in QueueRunner: ", e.what());
      const std::lock_guard lock(mutex);
      raised.push_back(std::current_exception());
      return;
    }
    end_of_run(session);
  }

  void run_quietly(const Session& session, const Operation& op) const {
    try {
      session.run(op);
    } catch (const std::exception& e) {
      log_debug("Ignored exception: ", e.what());
    }
  }

  // True for the last thread of this session.
  bool end_of_run(const Session& session) {
    const std::lock_guard lock(mutex);
    return --runs[session.identity()] == 0;
  }

  std::string queue;
  std::vector<Operation> enqueue_ops;
  Operation close_op, cancel_op;
  std::vector<errors::Code> closed;
  mutable std::mutex mutex;         // guards what follows
  std::map<const void*, int> runs;  // enqueueing threads, by session
  std::vector<std::exception_ptr> raised;
};

QueueRunner::QueueRunner(const QueueBase& queue, const std::vector<Operation>& enqueue_ops, const QueueRunnerOptions& o)
    : impl_(std::make_shared<QueueRunnerImpl>()) {
  if (enqueue_ops.empty()) raise(invalid_argument("Must provide queue and enqueue_ops."));
  if (o.queue_closed_exception_types.empty())
    raise(invalid_argument("queue_closed_exception_types must name at least one error class."));
  impl_->queue = queue.name();
  impl_->enqueue_ops = enqueue_ops;
  impl_->close_op = o.close_op ? o.close_op : queue.close();
  impl_->cancel_op = o.cancel_op ? o.cancel_op : queue.close({.cancel_pending_enqueues = true});
  impl_->closed = o.queue_closed_exception_types;
}

QueueRunner QueueRunner::from_proto(const tensorflow::QueueRunnerDef& def, const std::string& import_scope) {
  const std::string prefix = import_scope.empty() ? "" : import_scope + "/";
  // An enqueue under a condition is named as a tensor there: "batch/cond/Merge:0".
  const auto find = [&](const std::string& name) {
    if (name.find(':') != std::string::npos)
      return Operation(value_or_raise(default_graph().find_output(prefix + name)));
    return Operation(value_or_raise(default_graph().find_node(prefix + name)));
  };
  const auto impl = std::make_shared<QueueRunnerImpl>();
  impl->queue = find(def.queue_name()).name();
  for (const std::string& name : def.enqueue_op_name()) impl->enqueue_ops.push_back(find(name));
  impl->close_op = find(def.close_op_name());
  impl->cancel_op = find(def.cancel_op_name());
  for (const int code : def.queue_closed_exception_types()) impl->closed.push_back(static_cast<errors::Code>(code));
  if (impl->closed.empty()) impl->closed = {errors::Code::kOutOfRange};
  return QueueRunner(impl);
}

tensorflow::QueueRunnerDef QueueRunner::to_proto() const { return impl_->def(); }

std::vector<Thread> QueueRunner::create_threads(const Session& session, Coordinator* coord, bool start) const {
  return impl_->create_threads(session, coord, start);
}

std::string QueueRunner::name() const { return impl_->queue; }
const std::vector<Operation>& QueueRunner::enqueue_ops() const { return impl_->enqueue_ops; }
const Operation& QueueRunner::close_op() const { return impl_->close_op; }
const Operation& QueueRunner::cancel_op() const { return impl_->cancel_op; }
const std::vector<errors::Code>& QueueRunner::queue_closed_exception_types() const { return impl_->closed; }

std::vector<std::exception_ptr> QueueRunner::exceptions_raised() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->raised;
}

QueueRunner::operator CollectionItem() const { return std::static_pointer_cast<CollectionObject>(impl_); }

void add_queue_runner(const QueueRunner& runner, const std::string& collection) {
  add_to_collection(collection, runner);
}

std::vector<Thread> start_queue_runners(const Session& session, Coordinator* coord, const StartQueueRunnersOptions& o) {
  std::vector<Thread> threads;
  bool any = false;
  for (const CollectionItem& item : session.graph().get_collection(o.collection)) {
    const auto* object = std::get_if<std::shared_ptr<CollectionObject>>(&item);
    const auto impl = object ? std::dynamic_pointer_cast<QueueRunnerImpl>(*object) : nullptr;
    if (!impl) raise(invalid_argument("The collection ", o.collection, " holds something that is no queue runner."));
    any = true;
    for (Thread& thread : impl->create_threads(session, coord, o.start)) threads.push_back(std::move(thread));
  }
  if (!any) log_warning("start_queue_runners() was called, but the graph has no queue runners.");
  return threads;
}

}  // namespace millrace::train
