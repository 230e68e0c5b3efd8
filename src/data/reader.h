#pragma once
// A session's reader: what TextLineReaderV2 and its kin lead to. It takes work units (mostly names of files) from a
// queue and gives their records, one after another, each under a key ("lines.txt:3").
//
// Thread-safe. Reads are served in the order they came, and hold no thread while they wait for a work unit. `done` is
// called once, without locks held, from any thread; a scope must live until then.

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "data/queue.h"
#include "op/resource.h"

namespace millrace {

// A work unit under way. Not thread-safe.
class WorkUnit {
 public:
  enum class Result { kRecord, kLastRecord, kEnd };  // kEnd: no record, there are no more
  virtual ~WorkUnit() = default;
  // After an error the same call may be made again.
  virtual absl::StatusOr<Result> read(std::string* key, std::string* value) = 0;
};

// How records stand in work units. Immutable.
class RecordFormat {
 public:
  virtual ~RecordFormat() = default;
  virtual std::string_view name() const = 0;
  virtual absl::StatusOr<std::unique_ptr<WorkUnit>> open(const std::string& work) const = 0;
  // Whether a reader's state can be told and taken.
  virtual bool keeps_state() const { return false; }
};
std::unique_ptr<RecordFormat> text_line_format(int64_t skip_header_lines);
std::unique_ptr<RecordFormat> whole_file_format();  // the key is the file's name
std::unique_ptr<RecordFormat> tf_record_format(std::string compression);
std::unique_ptr<RecordFormat> identity_format();  // key and value are the work unit itself
struct FixedLengthFormat {
  int64_t header_bytes = 0, record_bytes = 0, footer_bytes = 0;
  int64_t hop_bytes = 0;  // from one record to the next; 0: a record's length
  std::string encoding = {};
};
std::unique_ptr<RecordFormat> fixed_length_format(FixedLengthFormat format);  // its numbers in range

class Reader final : public Resource, public std::enable_shared_from_this<Reader> {
 public:
  struct Records {
    std::vector<std::string> keys, values;
  };
  using Done = std::function<void(absl::Status, Records)>;

  explicit Reader(std::unique_ptr<RecordFormat> format) : format_(std::move(format)) {}
  std::string description() const override { return std::string(format_->name()); }

  // Up to `count` records, all of one work unit, at least one unless `count` is 0.
  void read(int64_t count, std::shared_ptr<Queue> queue, CancellationScope* scope, Done done);

  int64_t num_records_produced() const;
  int64_t num_work_units_completed() const;
  // As a serialized ReaderBaseState; Unimplemented where the format keeps none.
  absl::StatusOr<std::string> serialize_state() const;
  // InvalidArgument for what is none, or was told amid a work unit; the reader is reset then.
  absl::Status restore_state(std::string_view state);
  void reset();

 private:
  struct Request {
    int64_t count = 0;
    std::shared_ptr<Queue> queue = {};
    CancellationScope* scope = nullptr;
    Done done = {};
    Records records = {};
    int64_t id = 0;
    CancellationScope::Token token = 0;
  };
  struct Handover;  // of a request to whoever completes its dequeue

  bool in_progress() const { return finished_ < started_; }
  void serve(Request request);
  void resume(Handover& handover);
  bool read_records(Request* request, absl::Status* status);
  absl::Status start_work(absl::Status dequeued, const Element& element);
  bool take_next(Request* request);
  void cancel(int64_t id);

  const std::unique_ptr<RecordFormat> format_;
  mutable std::mutex mutex_;  // guards what follows
  int64_t started_ = 0, finished_ = 0, produced_ = 0;
  std::string work_;
  std::unique_ptr<WorkUnit> unit_;  // null unless in progress
  bool busy_ = false;               // a request is being served
  std::deque<Request> waiting_;     // for their turn
  int64_t next_id_ = 0;
};

}  // namespace millrace
