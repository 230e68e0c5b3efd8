#include "millrace/readers.h"

#include "api/op_builder.h"

namespace millrace {

ReaderBase::KeyValue ReaderBase::read(const QueueBase& queue, const NameOptions& o) const {
  const Operation op = create_op("ReaderReadV2", {reader_ref_, queue.queue_ref()}, {}, o.name);
  return {op.output(0), op.output(1)};
}

ReaderBase::KeysValues ReaderBase::read_up_to(const QueueBase& queue, const Input& num_records,
                                              const NameOptions& o) const {
  const SourceScope source(num_records);
  const Operation op = create_op("ReaderReadUpToV2", {reader_ref_, queue.queue_ref(), num_records}, {}, o.name);
  return {op.output(0), op.output(1)};
}

Output ReaderBase::num_records_produced(const NameOptions& o) const {
  return create_output("ReaderNumRecordsProducedV2", {reader_ref_}, {}, o.name);
}

Output ReaderBase::num_work_units_completed(const NameOptions& o) const {
  return create_output("ReaderNumWorkUnitsCompletedV2", {reader_ref_}, {}, o.name);
}

Output ReaderBase::serialize_state(const NameOptions& o) const {
  return create_output("ReaderSerializeStateV2", {reader_ref_}, {}, o.name);
}

Operation ReaderBase::restore_state(const Input& state, const NameOptions& o) const {
  return create_op("ReaderRestoreStateV2", {reader_ref_, state}, {}, o.name);
}

Operation ReaderBase::reset(const NameOptions& o) const {
  return create_op("ReaderResetV2", {reader_ref_}, {}, o.name);
}

TextLineReader::TextLineReader(const TextLineReaderOptions& o)
    : ReaderBase(create_output("TextLineReaderV2", {}, {{"skip_header_lines", o.skip_header_lines}}, o.name)) {}

WholeFileReader::WholeFileReader(const ReaderOptions& o)
    : ReaderBase(create_output("WholeFileReaderV2", {}, {}, o.name), true) {}

FixedLengthRecordReader::FixedLengthRecordReader(int64_t record_bytes, const FixedLengthRecordReaderOptions& o)
    : ReaderBase(create_output("FixedLengthRecordReaderV2", {},
                               {{"header_bytes", o.header_bytes},
                                {"record_bytes", record_bytes},
                                {"footer_bytes", o.footer_bytes},
                                {"hop_bytes", o.hop_bytes},
                                {"encoding", o.encoding}},
                               o.name)) {}

TFRecordReader::TFRecordReader(const TFRecordReaderOptions& o)
    : ReaderBase(create_output("TFRecordReaderV2", {}, {{"compression_type", o.compression_type}}, o.name)) {}

IdentityReader::IdentityReader(const ReaderOptions& o)
    : ReaderBase(create_output("IdentityReaderV2", {}, {}, o.name), true) {}

}  // namespace millrace
