#pragma once
// Readers: records of the files that a queue names, one or some per run.
//
//   tf::QueueBase files = tf::train::string_input_producer({"a.tfrecord", "b.tfrecord"});
//   auto [key, record] = tf::TFRecordReader().read(files);
//
// What a reader is asked for waits until the queue names a file; once the queue is closed and all is read,
// OutOfRangeError. tf::data (millrace/data.h) is the newer way.

#include <string>

#include "millrace/queues.h"

namespace millrace {

#pragma GCC visibility push(default)

// What all readers can do. A reader belongs to a session: it goes on where its last run ended.
class ReaderBase {
 public:
  struct KeyValue {
    Output key;    // a string scalar, such as "a.tfrecord:120"
    Output value;  // a string scalar
  };
  struct KeysValues {
    Output keys, values;  // string vectors of one length
  };

  explicit ReaderBase(const Output& reader_ref, bool supports_serialize = false)
      : reader_ref_(reader_ref), supports_serialize_(supports_serialize) {}

  // The next record. The queue's elements are scalar strings.
  KeyValue read(const QueueBase& queue, const NameOptions& options = {}) const;
  // The next records, all of one file: at least one, and no more than num_records.
  KeysValues read_up_to(const QueueBase& queue, const Input& num_records, const NameOptions& options = {}) const;
  Output num_records_produced(const NameOptions& options = {}) const;      // int64
  Output num_work_units_completed(const NameOptions& options = {}) const;  // int64: files read to their end
  // A string scalar for restore_state. UnimplementedError where the reader keeps no state.
  Output serialize_state(const NameOptions& options = {}) const;
  Operation restore_state(const Input& state, const NameOptions& options = {}) const;
  Operation reset(const NameOptions& options = {}) const;

  const Output& reader_ref() const { return reader_ref_; }
  bool supports_serialize() const { return supports_serialize_; }

 private:
  Output reader_ref_;
  bool supports_serialize_;
};

struct TextLineReaderOptions {
  int64_t skip_header_lines = 0;  // of each file
  std::string name = {};
};
// Lines without their ends; the key is "FILE:LINE", counted from 1.
class TextLineReader : public ReaderBase {
 public:
  explicit TextLineReader(const TextLineReaderOptions& options = {});
};

struct ReaderOptions {
  std::string name = {};
};
// Whole files; the key is the file's name.
class WholeFileReader : public ReaderBase {
 public:
  explicit WholeFileReader(const ReaderOptions& options = {});
};

struct FixedLengthRecordReaderOptions {
  int64_t header_bytes = 0;  // skipped at the start of each file
  int64_t footer_bytes = 0;  // and at its end
  int64_t hop_bytes = 0;     // from one record to the next; 0: a record's length
  std::string name = {};
  std::string encoding = {};  // "", "ZLIB" or "GZIP"
};
// Records of record_bytes bytes; the key is "FILE:RECORD", counted from 0.
class FixedLengthRecordReader : public ReaderBase {
 public:
  explicit FixedLengthRecordReader(int64_t record_bytes, const FixedLengthRecordReaderOptions& options = {});
};

struct TFRecordReaderOptions {
  std::string name = {};
  std::string compression_type = {};  // "", "ZLIB" or "GZIP"
};
// Records of TFRecord files; the key is "FILE:OFFSET", in bytes before compression.
class TFRecordReader : public ReaderBase {
 public:
  explicit TFRecordReader(const TFRecordReaderOptions& options = {});
};

// The queue's strings themselves, as key and as value.
class IdentityReader : public ReaderBase {
 public:
  explicit IdentityReader(const ReaderOptions& options = {});
};

#pragma GCC visibility pop

}  // namespace millrace
