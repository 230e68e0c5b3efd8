// RecordInput: batches of records out of many files, over and over, in an order that chance makes.

#include <algorithm>
#include <cmath>
#include <mutex>
#include <random>

#include "io/record_reader.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// Records of an epoch through a buffer: each that is drawn makes room for the next one read. Not thread-safe.
class RecordYielder {
 public:
  struct Options {
    std::string pattern;
    int64_t seed = 0, buffer_size = 0;
    double shift_ratio = 0;
    Compression compression = Compression::kNone;
  };
  explicit RecordYielder(Options options)
      : options_(std::move(options)), random_(static_cast<uint64_t>(options_.seed)) {}

  absl::StatusOr<std::string> next() {
    if (buffer_.empty() && files_.empty() && !reader_) MR_RETURN_IF_ERROR(begin_epoch());
    MR_RETURN_IF_ERROR(fill());
    if (buffer_.empty()) return invalid_argument("RecordInput: the files of '", options_.pattern, "' hold no records");
    const size_t drawn = std::uniform_int_distribution<size_t>(0, buffer_.size() - 1)(random_);
    std::swap(buffer_[drawn], buffer_.back());
    std::string record = std::move(buffer_.back());
    buffer_.pop_back();
    bytes_ -= record.size();
    return record;
  }

 private:
  absl::Status begin_epoch() {
    MR_ASSIGN_OR_RETURN(FileSystem* const files, file_system_for(options_.pattern));
    MR_ASSIGN_OR_RETURN(files_, files->glob(options_.pattern));
    if (files_.empty()) return not_found("Found no files at ", options_.pattern);
    std::shuffle(files_.begin(), files_.end(), random_);
    // Peers with other ratios begin elsewhere in the same order.
    const auto shift = static_cast<int64_t>(options_.shift_ratio * static_cast<double>(files_.size()));
    std::rotate(files_.begin(), files_.begin() + shift % std::ssize(files_), files_.end());
    std::ranges::reverse(files_);  // taken from the back
    return absl::OkStatus();
  }

  absl::Status fill() {
    while (std::ssize(buffer_) < options_.buffer_size && bytes_ < kMostBytes) {
      if (!reader_) {
        if (files_.empty()) return absl::OkStatus();  // the end of the epoch: what is left is drawn first
        MR_ASSIGN_OR_RETURN(reader_, RecordReader::open(files_.back(), {.compression = options_.compression}));
        files_.pop_back();
      }
      std::string record;
      const absl::StatusOr<bool> more = reader_->read(record);
      if (!more.ok() || !*more) reader_.reset();
      MR_RETURN_IF_ERROR(more.status());
      if (!*more) continue;
      bytes_ += record.size();
      buffer_.push_back(std::move(record));
    }
    return absl::OkStatus();
  }

  static constexpr size_t kMostBytes = size_t{1} << 30;  // a buffer of huge records stays smaller than asked for
  const Options options_;
  std::mt19937_64 random_;
  std::vector<std::string> files_;  // still to be read in this epoch, the next one last
  std::unique_ptr<RecordReader> reader_;
  std::vector<std::string> buffer_;
  size_t bytes_ = 0;  // of what buffer_ holds
};

class RecordInput final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    RecordYielder::Options options;
    MR_ASSIGN_OR_RETURN(options.pattern, init.attr<std::string>("file_pattern"));
    MR_ASSIGN_OR_RETURN(options.seed, init.attr<int64_t>("file_random_seed"));
    MR_ASSIGN_OR_RETURN(options.buffer_size, init.attr<int64_t>("file_buffer_size"));
    MR_ASSIGN_OR_RETURN(const float ratio, init.attr<float>("file_shuffle_shift_ratio"));
    MR_ASSIGN_OR_RETURN(const int64_t parallelism, init.attr<int64_t>("file_parallelism"));
    MR_ASSIGN_OR_RETURN(batch_size_, init.attr<int64_t>("batch_size"));
    MR_ASSIGN_OR_RETURN(const std::string compression, init.attr<std::string>("compression_type"));
    MR_ASSIGN_OR_RETURN(options.compression, compression_from_name(compression));
    if (options.buffer_size < 1 || batch_size_ < 1 || parallelism < 1)
      return invalid_argument("RecordInput: file_buffer_size, batch_size and file_parallelism must be positive, got ",
                              options.buffer_size, ", ", batch_size_, " and ", parallelism);
    if (!(ratio >= 0 && ratio <= 1))
      return invalid_argument("RecordInput: file_shuffle_shift_ratio must be in [0, 1], got ", ratio);
    options.shift_ratio = ratio;
    yielder_ = std::make_unique<RecordYielder>(std::move(options));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({batch_size_}));
    MR_ASSIGN_OR_RETURN(const std::span<std::string> out, ctx.output<std::string>(0, shape));
    std::lock_guard lock(mutex_);
    for (std::string& record : out) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      MR_ASSIGN_OR_RETURN(record, yielder_->next());
    }
    return absl::OkStatus();
  }

 private:
  int64_t batch_size_ = 0;
  std::mutex mutex_;
  std::unique_ptr<RecordYielder> yielder_;  // guarded by mutex_
};

absl::Status record_input_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t batch, c.attr<int64_t>("batch_size"));
  if (batch < 1) return invalid_argument("RecordInput: batch_size must be positive, got ", batch);
  return c.set_output(0, make_partial_shape({batch}));
}

}  // namespace

void register_record_input(Registry& registry) {
  registry.op("RecordInput")
      .output("records: string")
      .attr("file_pattern: string")
      .attr("file_random_seed: int = 301")
      .attr("file_shuffle_shift_ratio: float = 0")
      .attr("file_buffer_size: int = 10000")
      .attr("file_parallelism: int = 16")
      .attr("batch_size: int = 32")
      .attr("compression_type: string = ''")
      .stateful()
      .shape(record_input_shape)
      .cpu<RecordInput>()
      .doc("Batches of records from the files of a pattern, in random order, epoch after epoch.");
}

}  // namespace millrace
