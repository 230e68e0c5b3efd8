#pragma once
// Threads that fill a queue: each runs an enqueue operation again and again.
//
//   tf::train::add_queue_runner(tf::train::QueueRunner(queue, {enqueue, enqueue}));    // two threads
//   tf::train::Coordinator coord;
//   std::vector<tf::train::Thread> threads = tf::train::start_queue_runners(session, &coord);
//   ...
//   coord.request_stop();  coord.join(threads);
//
// A MonitoredSession starts those that the graph collects by itself.

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "millrace/collection.h"
#include "millrace/queues.h"
#include "millrace/session.h"
#include "millrace/train/coordinator.h"

namespace tensorflow {
class QueueRunnerDef;  // <millrace/protos.h>
}

namespace millrace::train {

#pragma GCC visibility push(default)

struct QueueRunnerOptions {
  Operation close_op = {};   // absent: made
  Operation cancel_op = {};  // the same, cancelling pending enqueues
  // Errors of an enqueue that mean that the queue, or what feeds it, was closed: the thread ends, and the last one
  // closes the queue.
  std::vector<errors::Code> queue_closed_exception_types = {errors::Code::kOutOfRange};
};

class QueueRunnerImpl;

// A handle: copies are the same runner. Thread-safe.
class QueueRunner {
 public:
  // InvalidArgumentError (TF1's ValueError) without enqueue operations.
  QueueRunner(const QueueBase& queue, const std::vector<Operation>& enqueue_ops,
              const QueueRunnerOptions& options = {});
  // Of operations in the default graph. NotFoundError if it lacks one.
  static QueueRunner from_proto(const tensorflow::QueueRunnerDef& def, const std::string& import_scope = {});
  tensorflow::QueueRunnerDef to_proto() const;
  explicit QueueRunner(std::shared_ptr<QueueRunnerImpl> impl) : impl_(std::move(impl)) {}

  // One thread per enqueue operation, and with a coordinator one that closes the queue when that stops. None while
  // those made for this session before still run. With a coordinator they are registered with it, and errors go to it.
  std::vector<Thread> create_threads(const Session& session, Coordinator* coord = nullptr, bool start = false) const;

  std::string name() const;  // the queue's
  const std::vector<Operation>& enqueue_ops() const;
  const Operation& close_op() const;
  const Operation& cancel_op() const;
  const std::vector<errors::Code>& queue_closed_exception_types() const;
  // Of threads without a coordinator.
  std::vector<std::exception_ptr> exceptions_raised() const;

  operator CollectionItem() const;  // NOLINT: for GraphKeys::QUEUE_RUNNERS

 private:
  std::shared_ptr<QueueRunnerImpl> impl_;
};

void add_queue_runner(const QueueRunner& runner, const std::string& collection = GraphKeys::QUEUE_RUNNERS);

struct StartQueueRunnersOptions {
  bool start = true;  // false: the threads are only made
  std::string collection = GraphKeys::QUEUE_RUNNERS;
};
// The threads of all runners that the session's graph collects; a warning if there are none.
std::vector<Thread> start_queue_runners(const Session& session, Coordinator* coord = nullptr,
                                        const StartQueueRunnersOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::train
