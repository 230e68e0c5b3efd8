// Readers: records of the files that a queue names, one or some per step. What they do stands in data/reader.h. The ops
// without V2 are those of TensorFlow before 1.0, with handles by reference; they share the kernels.

#include "data/reader.h"

#include <limits>

#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

// The reader that a node makes once per session.
class ReaderKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init, /*by_node=*/true));
    return configure(init);
  }

  absl::Status compute(KernelContext& ctx) final {
    MR_RETURN_IF_ERROR(
        ctx.resources()
            .lookup_or_create<Reader>(
                name_.container, name_.name,
                [&] { return absl::StatusOr<std::shared_ptr<Reader>>(std::make_shared<Reader>(format())); })
            .status());
    return set_handle(ctx, 0, name_, "Reader");
  }
  bool is_cheap() const override { return true; }

 private:
  virtual absl::Status configure(KernelInit&) { return absl::OkStatus(); }
  virtual std::unique_ptr<RecordFormat> format() const = 0;
  ResourceName name_;
};

absl::Status read_count(KernelInit& init, const char* name, int64_t* count) {
  MR_ASSIGN_OR_RETURN(*count, init.attr<int64_t>(name));
  if (*count >= 0) return absl::OkStatus();
  return invalid_argument(init.node().op, ": ", name, " must be >= 0 not ", *count);
}

class TextLineReader final : public ReaderKernel {
  absl::Status configure(KernelInit& init) override { return read_count(init, "skip_header_lines", &skip_); }
  std::unique_ptr<RecordFormat> format() const override { return text_line_format(skip_); }
  int64_t skip_ = 0;
};

class WholeFileReader final : public ReaderKernel {
  std::unique_ptr<RecordFormat> format() const override { return whole_file_format(); }
};

class IdentityReader final : public ReaderKernel {
  std::unique_ptr<RecordFormat> format() const override { return identity_format(); }
};

class TFRecordReader final : public ReaderKernel {
  absl::Status configure(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(compression_, init.attr<std::string>("compression_type"));
    return absl::OkStatus();
  }
  std::unique_ptr<RecordFormat> format() const override { return tf_record_format(compression_); }
  std::string compression_;
};

class FixedLengthRecordReader final : public ReaderKernel {
  absl::Status configure(KernelInit& init) override {
    // Sums of them must fit.
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 4;
    MR_RETURN_IF_ERROR(read_count(init, "header_bytes", &format_.header_bytes));
    MR_RETURN_IF_ERROR(read_count(init, "record_bytes", &format_.record_bytes));
    MR_RETURN_IF_ERROR(read_count(init, "footer_bytes", &format_.footer_bytes));
    MR_RETURN_IF_ERROR(read_count(init, "hop_bytes", &format_.hop_bytes));
    if (init.has_attr("encoding")) {
      MR_ASSIGN_OR_RETURN(format_.encoding, init.attr<std::string>("encoding"));
    }
    if (format_.record_bytes == 0)  // such records would never end
      return invalid_argument(init.node().op, ": record_bytes must be > 0");
    for (const int64_t n : {format_.header_bytes, format_.record_bytes, format_.footer_bytes, format_.hop_bytes}) {
      if (n > kMost) return invalid_argument(init.node().op, ": ", n, " bytes are too many");
    }
    return absl::OkStatus();
  }
  std::unique_ptr<RecordFormat> format() const override { return fixed_length_format(format_); }
  FixedLengthFormat format_;
};

class ReadKernel : public AsyncKernel {
 public:
  void compute_async(KernelContext& ctx, Done done) final {
    if (absl::Status status = start(ctx, done); !status.ok()) done(std::move(status));
  }

 private:
  virtual absl::StatusOr<int64_t> count(const KernelContext& ctx) const = 0;
  virtual absl::Status emit(KernelContext& ctx, Reader::Records records) const = 0;

  absl::Status start(KernelContext& ctx, const Done& done) {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<Reader> reader, find_resource<Reader>(ctx, 0));
    MR_ASSIGN_OR_RETURN(std::shared_ptr<Queue> queue, find_resource<Queue>(ctx, 1));
    MR_ASSIGN_OR_RETURN(const int64_t records, count(ctx));
    reader->read(records, std::move(queue), ctx.cancellation(),
                 [this, &ctx, done](absl::Status status, Reader::Records found) {
                   if (status.ok()) status = emit(ctx, std::move(found));
                   done(std::move(status));
                 });
    return absl::OkStatus();
  }
};

class ReaderRead final : public ReadKernel {
  absl::StatusOr<int64_t> count(const KernelContext&) const override { return 1; }
  absl::Status emit(KernelContext& ctx, Reader::Records records) const override {
    MR_RETURN_IF_ERROR(ctx.set_scalar(0, std::move(records.keys[0])));
    return ctx.set_scalar(1, std::move(records.values[0]));
  }
};

class ReaderReadUpTo final : public ReadKernel {
  absl::StatusOr<int64_t> count(const KernelContext& ctx) const override {
    MR_ASSIGN_OR_RETURN(const int64_t count, ctx.int_scalar(2));
    if (count < 0) return invalid_argument(ctx.node().op, ": num_records must be >= 0, got ", count);
    return count;
  }
  absl::Status emit(KernelContext& ctx, Reader::Records records) const override {
    MR_ASSIGN_OR_RETURN(Tensor keys, make_vector<std::string>(records.keys));
    MR_RETURN_IF_ERROR(ctx.set_output(0, std::move(keys)));
    MR_ASSIGN_OR_RETURN(Tensor values, make_vector<std::string>(records.values));
    return ctx.set_output(1, std::move(values));
  }
};

class NumRecordsProduced final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto reader, find_resource<Reader>(ctx, 0));
    return ctx.set_scalar(0, reader->num_records_produced());
  }
};

class NumWorkUnitsCompleted final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto reader, find_resource<Reader>(ctx, 0));
    return ctx.set_scalar(0, reader->num_work_units_completed());
  }
};

class SerializeState final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto reader, find_resource<Reader>(ctx, 0));
    MR_ASSIGN_OR_RETURN(std::string state, reader->serialize_state());
    return ctx.set_scalar(0, std::move(state));
  }
};

class RestoreState final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto reader, find_resource<Reader>(ctx, 0));
    MR_ASSIGN_OR_RETURN(const std::string state, ctx.scalar<std::string>(1));
    return reader->restore_state(state);
  }
};

class Reset final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto reader, find_resource<Reader>(ctx, 0));
    reader->reset();
    return absl::OkStatus();
  }
};

// --- shapes

absl::Status read_up_to_shape(ShapeContext& c) {
  for (int i = 0; i < 2; ++i) MR_RETURN_IF_ERROR(check_handle_shape(c, i));
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  for (int i = 0; i < 2; ++i) MR_RETURN_IF_ERROR(c.set_output(i, unknown_shape_of_rank(1)));
  return absl::OkStatus();
}

absl::Status restore_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return c.with_rank(1, 0).status();
}

// --- definitions: each op twice, with handles as resources and by reference

struct Generation {
  const char* suffix;
  const char* output;
  const char *reader, *queue;  // inputs
  bool v2;
};
constexpr Generation kOld{"", "reader_handle: Ref(string)", "reader_handle: Ref(string)", "queue_handle: Ref(string)",
                          false};
constexpr Generation kNew{"V2", "reader_handle: resource", "reader_handle: resource", "queue_handle: resource", true};

void register_making(Registry& registry, const Generation& g) {
  const auto reader = [&](const char* name) { return registry.op(str_cat(name, g.suffix)).output(g.output); };
  const auto finish = [&](OpBuilder op) -> OpBuilder {
    return op.attr("container: string = ''")
        .attr("shared_name: string = ''")
        .stateful()
        .shape(named_handle_shape)
        .not_differentiable();
  };
  finish(reader("TextLineReader").attr("skip_header_lines: int = 0"))
      .cpu<TextLineReader>()
      .doc("Reads the lines of text files.");
  finish(reader("WholeFileReader")).cpu<WholeFileReader>().doc("Reads files as a whole.");
  finish(reader("IdentityReader")).cpu<IdentityReader>().doc("Gives work units as they are, as key and value.");
  OpBuilder fixed = finish(reader("FixedLengthRecordReader")
                               .attr("header_bytes: int = 0")
                               .attr("record_bytes: int")
                               .attr("footer_bytes: int = 0")
                               .attr("hop_bytes: int = 0"));
  if (g.v2) fixed.attr("encoding: string = ''");
  fixed.cpu<FixedLengthRecordReader>().doc("Reads files whose records all have one length.");
  finish(reader("TFRecordReader"))
      .attr("compression_type: string = ''")
      .cpu<TFRecordReader>()
      .doc("Reads the records of TFRecord files.");
}

void register_using(Registry& registry, const Generation& g) {
  const auto op = [&](const char* name) {
    OpBuilder builder = registry.op(str_cat(name, g.suffix)).input(g.reader);
    if (g.v2) builder.stateful();
    return builder.shape(handles_and_scalars).not_differentiable();
  };
  op("ReaderRead")
      .input(g.queue)
      .output("key: string")
      .output("value: string")
      .cpu<ReaderRead>()
      .doc("The next record of the files that the queue names, when there is one.");
  op("ReaderReadUpTo")
      .input(g.queue)
      .input("num_records: int64")
      .output("keys: string")
      .output("values: string")
      .shape(read_up_to_shape)
      .cpu<ReaderReadUpTo>()
      .doc("The next records, all of one file: so many, or what is left of it.");
  op("ReaderNumRecordsProduced")
      .output("records_produced: int64")
      .cpu<NumRecordsProduced>()
      .doc("How many records a reader gave.");
  op("ReaderNumWorkUnitsCompleted")
      .output("units_completed: int64")
      .cpu<NumWorkUnitsCompleted>()
      .doc("How many files a reader has finished.");
  op("ReaderSerializeState").output("state: string").cpu<SerializeState>().doc("A reader's state, where it keeps one.");
  op("ReaderRestoreState")
      .input("state: string")
      .shape(restore_shape)
      .cpu<RestoreState>()
      .doc("Puts a reader into a state that was told before.");
  op("ReaderReset").cpu<Reset>().doc("Puts a reader into its first state.");
}

}  // namespace

void register_reader(Registry& registry) {
  for (const Generation& generation : {kOld, kNew}) {
    register_making(registry, generation);
    register_using(registry, generation);
  }
}

}  // namespace millrace
