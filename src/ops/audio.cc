// Sound files: WAV to numbers and back.

#include <algorithm>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/wav.h"

namespace millrace {
namespace {

// An attribute that is a number of something, or -1 for as many as the file has.
absl::StatusOr<int64_t> wished(const NodeInfo& node, const char* attr, const char* what) {
  MR_ASSIGN_OR_RETURN(const int64_t n, get_attr<int64_t>(node, attr));
  if (n < -1) return invalid_argument(what, " must be non-negative, got ", n);
  return n;
}

class DecodeWav final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(channels_, wished(init.node(), "desired_channels", "channels"));
    MR_ASSIGN_OR_RETURN(frames_, wished(init.node(), "desired_samples", "samples"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 0) return invalid_argument("contents must be scalar, got shape ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const std::string contents, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(const Wav wav, parse_wav(contents));
    const int64_t frames = frames_ < 0 ? wav.format.frames : frames_,
                  channels = channels_ < 0 ? wav.format.channels : channels_;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({frames, channels}));
    MR_ASSIGN_OR_RETURN(const std::span<float> out, ctx.output<float>(0, shape));
    size_t at = 0;
    for (int64_t frame = 0; frame < frames; ++frame) {
      for (int64_t channel = 0; channel < channels; ++channel) {  // what there are no more of is the last again
        const int64_t from = frame * wav.format.channels + std::min(channel, wav.format.channels - 1);
        out[at++] = frame < wav.format.frames ? wav_sample(wav, static_cast<size_t>(from)) : 0.0f;
      }
    }
    return ctx.set_scalar(1, static_cast<int32_t>(wav.format.sample_rate));
  }

 private:
  int64_t channels_ = -1, frames_ = -1;
};

absl::Status decode_wav_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const int64_t channels, wished(c.node(), "desired_channels", "channels"));
  MR_ASSIGN_OR_RETURN(const int64_t frames, wished(c.node(), "desired_samples", "samples"));
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({frames, channels})));
  return c.set_output(1, PartialTensorShape::scalar());
}

class EncodeWav final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() != 2) return invalid_argument("audio must be 2-dimensional", shape);
    MR_ASSIGN_OR_RETURN(const auto audio, ctx.flat<float>(0));
    if (ctx.shape(1).rank() != 0)
      return invalid_argument("Input sample_rate should be a scalar tensor, got ", ctx.shape(1), " instead.");
    MR_ASSIGN_OR_RETURN(const int32_t sample_rate, ctx.scalar<int32_t>(1));
    MR_ASSIGN_OR_RETURN(
        std::string file,
        encode_wav(audio.data(), {.sample_rate = sample_rate, .channels = shape.dim(1), .frames = shape.dim(0)}));
    return ctx.set_scalar(0, std::move(file));
  }
};

absl::Status encode_wav_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return scalar_shape(c);
}

}  // namespace

void register_audio(Registry& registry) {
  registry.op("DecodeWav")
      .input("contents: string")
      .output("audio: float")
      .output("sample_rate: int32")
      .attr("desired_channels: int = -1")
      .attr("desired_samples: int = -1")
      .shape(decode_wav_shape)
      .cpu<DecodeWav>()
      .doc("The frames of a 16-bit WAV file as numbers in [-1, 1).");
  registry.op("EncodeWav")
      .input("audio: float")
      .input("sample_rate: int32")
      .output("contents: string")
      .shape(encode_wav_shape)
      .cpu<EncodeWav>()
      .doc("Frames of numbers in [-1, 1] as a 16-bit WAV file.");
}

}  // namespace millrace
