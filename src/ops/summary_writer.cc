// Summary writers: event files that steps write into, one summary per op, as TensorFlow's second summary API does it.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <vector>

#include "base/wire.h"
#include "io/event_file.h"
#include "io/file_system.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/named_resource.h"
#include "ops/summary_values.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace {
namespace {

// Field numbers of Event.
constexpr uint32_t kWallTime = 1, kStep = 2, kGraphDef = 4, kSummary = 5;

using Clock = std::chrono::steady_clock;

// Thread-safe.
class SummaryWriter final : public Resource {
 public:
  // Others see events once more than `max_queue` wait, once one comes `flush_interval` behind the last flush, and
  // when the writer is flushed, closed or forgotten.
  static absl::StatusOr<std::shared_ptr<SummaryWriter>> create(const std::string& folder, std::string_view suffix,
                                                               int64_t max_queue,
                                                               std::chrono::milliseconds flush_interval) {
    static std::atomic<int64_t> count{0};  // writers of one process and second have files of their own
    const std::string own = str_cat(".", getpid(), ".", count.fetch_add(1, std::memory_order_relaxed), suffix);
    MR_ASSIGN_OR_RETURN(auto file, EventFileWriter::create(join_path(folder, "events"), own));
    return std::shared_ptr<SummaryWriter>(new SummaryWriter(std::move(file), max_queue, flush_interval));
  }
  ~SummaryWriter() override { close().IgnoreError(); }
  std::string description() const override { return str_cat("SummaryWriter of ", file_->path()); }

  absl::Status write(std::string_view event) {
    std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(file_->write(event));
    ++waiting_;
    return waiting_ > max_queue_ || Clock::now() - last_flush_ > flush_interval_ ? flush_locked() : absl::OkStatus();
  }
  absl::Status flush() {
    std::lock_guard lock(mutex_);
    return flush_locked();
  }
  absl::Status close() {
    std::lock_guard lock(mutex_);
    return file_->close();
  }

 private:
  SummaryWriter(std::unique_ptr<EventFileWriter> file, int64_t max_queue, std::chrono::milliseconds flush_interval)
      : file_(std::move(file)), max_queue_(max_queue), flush_interval_(flush_interval) {}
  absl::Status flush_locked() {
    waiting_ = 0;
    last_flush_ = Clock::now();
    return file_->flush();
  }

  std::mutex mutex_;
  const std::unique_ptr<EventFileWriter> file_;  // what it points to is guarded by mutex_
  const int64_t max_queue_;
  const std::chrono::milliseconds flush_interval_;
  int64_t waiting_ = 0;  // events written since the last flush
  Clock::time_point last_flush_ = Clock::now();
};

class SummaryWriterHandle final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init, /*by_node=*/true));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return set_handle(ctx, 0, name_, "SummaryWriterInterface"); }
  bool is_cheap() const override { return true; }

 private:
  ResourceName name_;
};

class CreateSummaryFileWriter final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceName name, handle_name(ctx, 0));
    MR_ASSIGN_OR_RETURN(const std::string folder, ctx.scalar<std::string>(1));
    MR_ASSIGN_OR_RETURN(const int32_t max_queue, ctx.scalar<int32_t>(2));
    MR_ASSIGN_OR_RETURN(const int32_t millis, ctx.scalar<int32_t>(3));
    MR_ASSIGN_OR_RETURN(const std::string suffix, ctx.scalar<std::string>(4));
    if (ctx.resources().lookup<SummaryWriter>(name.container, name.name).ok()) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(auto writer,
                        SummaryWriter::create(folder, suffix, max_queue, std::chrono::milliseconds(millis)));
    const absl::Status created = ctx.resources().create(name.container, name.name, std::move(writer));
    return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;  // another step was faster
  }
};

class CreateSummaryDbWriter final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceName name, handle_name(ctx, 0));
    if (ctx.resources().lookup<SummaryWriter>(name.container, name.name).ok()) return absl::OkStatus();
    return unimplemented("Summaries are written to files, not to databases: use CreateSummaryFileWriter");
  }
};

class FlushSummaryWriter final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto writer, ctx.resource<SummaryWriter>(0));
    return writer->flush();
  }
};

class CloseSummaryWriter final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto writer, ctx.resource<SummaryWriter>(0));
    MR_ASSIGN_OR_RETURN(const ResourceName name, handle_name(ctx, 0));
    MR_RETURN_IF_ERROR(ctx.resources().remove(name.container, name.name));
    return writer->close();
  }
};

// ---- Events

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Writes an event of the step, input 1, that holds `bytes` as `field`.
absl::Status write_event(KernelContext& ctx, uint32_t field, std::string_view bytes) {
  MR_ASSIGN_OR_RETURN(const auto writer, ctx.resource<SummaryWriter>(0));
  MR_ASSIGN_OR_RETURN(const int64_t step, ctx.scalar<int64_t>(1));
  std::string event;
  append_double_field(event, kWallTime, seconds_now());
  if (step != 0) append_varint_field(event, kStep, static_cast<uint64_t>(step));
  append_bytes_field(event, field, bytes);
  return writer->write(event);
}

class WriteSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(3));
    MR_ASSIGN_OR_RETURN(const std::string metadata, ctx.scalar<std::string>(4));
    if (!tensorflow::SummaryMetadata().ParseFromString(metadata))
      return invalid_argument("Could not parse summary_metadata as SummaryMetadata");
    TensorValue value{.tag = tag};
    if (!metadata.empty()) value.metadata = metadata;
    std::string summary;
    MR_RETURN_IF_ERROR(append_tensor_value(summary, value, ctx.input(2)));
    return write_event(ctx, kSummary, summary);
  }
};

class WriteScalarSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(2));
    MR_ASSIGN_OR_RETURN(const float value, scalar_to_show(ctx.input(3)));
    std::string summary;
    append_scalar_value(summary, tag, value);
    return write_event(ctx, kSummary, summary);
  }
};

class WriteHistogramSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(2));
    std::string summary;
    MR_RETURN_IF_ERROR(append_histogram_value(summary, tag, ctx.input(3), tag));
    return write_event(ctx, kSummary, summary);
  }
};

class WriteImageSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t most, get_attr<int64_t>(ctx.node(), "max_images"));
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(2));
    MR_ASSIGN_OR_RETURN(const auto bad_color, ctx.vector<uint8_t>(4));
    std::string summary;
    MR_RETURN_IF_ERROR(append_image_values(summary, tag, ctx.input(3), most, bad_color));
    return write_event(ctx, kSummary, summary);
  }
};

class WriteAudioSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t most, get_attr<int64_t>(ctx.node(), "max_outputs"));
    MR_ASSIGN_OR_RETURN(const std::string tag, ctx.scalar<std::string>(2));
    MR_ASSIGN_OR_RETURN(const float sample_rate, ctx.scalar<float>(4));
    std::string summary;
    MR_RETURN_IF_ERROR(append_audio_values(summary, tag, ctx.input(3), most, sample_rate));
    return write_event(ctx, kSummary, summary);
  }
};

class WriteGraphSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string graph, ctx.scalar<std::string>(2));
    if (!tensorflow::GraphDef().ParseFromString(graph)) return data_loss("Bad tf.GraphDef binary proto tensor string");
    return write_event(ctx, kGraphDef, graph);
  }
};

class WriteRawProtoSummary final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto given, ctx.flat<std::string>(2));
    std::string summary;  // messages one behind the other are their sum
    for (size_t i = 0; i < given.size(); ++i) {
      if (!tensorflow::Summary().ParseFromString(given[i]))
        return data_loss("Bad tf.compat.v1.Summary binary proto tensor string at index ", i);
      summary += given[i];
    }
    return write_event(ctx, kSummary, summary);
  }
};

class ImportEvent final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto writer, ctx.resource<SummaryWriter>(0));
    MR_ASSIGN_OR_RETURN(const std::string event, ctx.scalar<std::string>(1));
    if (!tensorflow::Event().ParseFromString(event)) return data_loss("Bad tf.Event binary proto tensor string");
    return writer->write(event);
  }
};

// All inputs but input `open`, the value to show, are scalars.
template <int open> absl::Status scalars_but(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (i != open) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  }
  return absl::OkStatus();
}

absl::Status write_image_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  return c.with_rank(4, 1).status();
}

}  // namespace

void register_summary_writer(Registry& registry) {
  registry.op("SummaryWriter")
      .output("writer: resource")
      .attr("shared_name: string = ''")
      .attr("container: string = ''")
      .stateful()
      .shape(scalar_shape)
      .cpu<SummaryWriterHandle>()
      .not_differentiable()
      .doc("A handle to a summary writer, which is still to be made.");
  registry.op("CreateSummaryFileWriter")
      .input("writer: resource")
      .input("logdir: string")
      .input("max_queue: int32")
      .input("flush_millis: int32")
      .input("filename_suffix: string")
      .stateful()
      .shape(scalars_but<-1>)
      .cpu<CreateSummaryFileWriter>()
      .not_differentiable()
      .doc("Makes the writer of an event file, unless there is one.");
  registry.op("CreateSummaryDbWriter")
      .input("writer: resource")
      .input("db_uri: string")
      .input("experiment_name: string")
      .input("run_name: string")
      .input("user_name: string")
      .stateful()
      .shape(scalars_but<-1>)
      .cpu<CreateSummaryDbWriter>()
      .not_differentiable()
      .doc("Refused: there are no databases of summaries.");
  registry.op("FlushSummaryWriter")
      .input("writer: resource")
      .stateful()
      .shape(scalars_but<-1>)
      .cpu<FlushSummaryWriter>()
      .not_differentiable()
      .doc("Lets others see all events written so far.");
  registry.op("CloseSummaryWriter")
      .input("writer: resource")
      .stateful()
      .shape(scalars_but<-1>)
      .cpu<CloseSummaryWriter>()
      .not_differentiable()
      .doc("Closes the writer's file and forgets it.");
  registry.op("WriteSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tensor: T")
      .input("tag: string")
      .input("summary_metadata: string")
      .attr("T: type")
      .stateful()
      .shape(scalars_but<2>)
      .cpu<WriteSummary>()
      .not_differentiable()
      .doc("Writes a tensor as a summary.");
  registry.op("WriteScalarSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tag: string")
      .input("value: T")
      .attr("T: {bfloat16, double, float, half, int16, int32, int64, int8, uint16, uint32, uint64, uint8}")
      .stateful()
      .shape(scalars_but<3>)
      .cpu<WriteScalarSummary>()
      .not_differentiable()
      .doc("Writes a number as a summary.");
  registry.op("WriteHistogramSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tag: string")
      .input("values: T")
      .attr(
          "T: {bfloat16, bool, double, float, half, int16, int32, int64, int8, uint16, uint32, uint64, uint8} = "
          "DT_FLOAT")
      .stateful()
      .shape(scalars_but<3>)
      .cpu<WriteHistogramSummary>()
      .not_differentiable()
      .doc("Writes a histogram of the values as a summary.");
  registry.op("WriteImageSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tag: string")
      .input("tensor: T")
      .input("bad_color: uint8")
      .attr("max_images: int >= 1 = 3")
      .attr("T: {double, float, half, uint8} = DT_FLOAT")
      .stateful()
      .shape(write_image_shape)
      .cpu<WriteImageSummary>()
      .not_differentiable()
      .doc("Writes the first images of a batch as a summary.");
  registry.op("WriteAudioSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tag: string")
      .input("tensor: float")
      .input("sample_rate: float")
      .attr("max_outputs: int >= 1 = 3")
      .stateful()
      .shape(scalars_but<3>)
      .cpu<WriteAudioSummary>()
      .not_differentiable()
      .doc("Writes the first sounds of a batch as a summary.");
  registry.op("WriteGraphSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tensor: string")
      .stateful()
      .shape(scalars_but<-1>)
      .cpu<WriteGraphSummary>()
      .not_differentiable()
      .doc("Writes a serialized GraphDef.");
  registry.op("WriteRawProtoSummary")
      .input("writer: resource")
      .input("step: int64")
      .input("tensor: string")
      .stateful()
      .shape(scalars_but<2>)
      .cpu<WriteRawProtoSummary>()
      .not_differentiable()
      .doc("Writes serialized Summary messages as one.");
  registry.op("ImportEvent")
      .input("writer: resource")
      .input("event: string")
      .stateful()
      .shape(scalars_but<-1>)
      .cpu<ImportEvent>()
      .not_differentiable()
      .doc("Writes a serialized Event as it is.");
}

}  // namespace millrace
