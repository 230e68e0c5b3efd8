// Images to and from the bytes of their files. As in TensorFlow, DecodePng and DecodeJpeg tell the format by the bytes
// and read either.

#include <algorithm>
#include <vector>

#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/image_formats.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

absl::Status check_channels(int64_t channels, std::initializer_list<int64_t> allowed) {
  if (std::ranges::find(allowed, channels) != allowed.end()) return absl::OkStatus();
  std::string list;
  for (const int64_t c : allowed) str_append(&list, list.empty() ? "" : ", ", c);
  return invalid_argument("channels must be one of ", list, ", got ", channels);
}

template <class From, class To> void convert(const From* from, std::span<To> to) {
  std::ranges::transform(from, from + to.size(), to.begin(), [](From v) -> To {
    if constexpr (std::is_same_v<From, To>) return v;
    else if constexpr (std::is_same_v<To, float>)
      return static_cast<float>(v) * (1.0f / std::numeric_limits<From>::max());
    else return static_cast<To>(v * 256);
  });
}

// One image of a file, in any format that is known, as the kernel's output of dtype uint8, uint16 or float.
class ImageDecoder {
 public:
  ImageDecoder(KernelContext& ctx, DataType dtype) : ctx_(ctx), dtype_(dtype) {}

  absl::Status png(std::string_view file, int channels) {
    // Other formats have 8 bits; of a PNG nothing is lost.
    wide_ = dtype_ != DataType::kUint8;
    MR_RETURN_IF_ERROR(decode_png(file, channels, wide_ ? 16 : 8, maker()));
    return finish();
  }
  absl::Status jpeg(std::string_view file, const JpegDecodeOptions& options) {
    MR_RETURN_IF_ERROR(decode_jpeg(file, options, maker()));
    return finish();
  }
  absl::Status bmp(std::string_view file, int channels) {
    MR_RETURN_IF_ERROR(decode_bmp(file, channels, maker()));
    return finish();
  }

 private:
  DataType decoded_type() const { return wide_ ? DataType::kUint16 : DataType::kUint8; }

  MakeImage maker() {
    return [this](const ImageSize& size) -> absl::StatusOr<void*> {
      MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({size.height, size.width, size.channels}));
      MR_ASSIGN_OR_RETURN(output_, ctx_.allocate_output(0, shape));
      if (decoded_type() == dtype_) return output_->raw_mutable_data();
      MR_ASSIGN_OR_RETURN(decoded_, ctx_.allocate_temp(decoded_type(), shape));
      return decoded_.raw_mutable_data();
    };
  }
  absl::Status finish() {
    if (decoded_type() == dtype_) return absl::OkStatus();
    const auto* bytes = static_cast<const uint8_t*>(decoded_.raw_data());
    const auto* words = static_cast<const uint16_t*>(decoded_.raw_data());
    if (dtype_ == DataType::kUint16) convert(bytes, output_->unchecked_mutable<uint16_t>());
    else if (wide_) convert(words, output_->unchecked_mutable<float>());
    else convert(bytes, output_->unchecked_mutable<float>());
    return absl::OkStatus();
  }

  KernelContext& ctx_;
  DataType dtype_;
  bool wide_ = false;
  Tensor* output_ = nullptr;
  Tensor decoded_;
};

absl::StatusOr<std::string> file_of(KernelContext& ctx) {
  if (ctx.shape(0).rank() != 0) return invalid_argument("`contents` must be scalar but got shape", ctx.shape(0));
  return ctx.scalar<std::string>(0);
}

absl::Status unknown_format(std::string_view file) {
  if (file.empty()) return invalid_argument("Input is empty.");
  return invalid_argument("Unknown image file format. One of JPEG, PNG, BMP required.");
}

absl::Status no_gif() {
  return unimplemented("GIF images cannot be decoded: convert them to PNG");  // see docs/compatibility.md
}

class DecodePng final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(channels_, init.attr<int64_t>("channels"));
    MR_RETURN_IF_ERROR(check_channels(channels_, {0, 1, 3, 4}));
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string file, file_of(ctx));
    ImageDecoder decoder(ctx, dtype_);
    switch (image_format(file)) {
      case ImageFormat::kPng: return decoder.png(file, static_cast<int>(channels_));
      case ImageFormat::kJpeg: return decoder.jpeg(file, {.channels = static_cast<int>(channels_)});
      case ImageFormat::kBmp:
        return invalid_argument(
            "Trying to decode BMP format using a wrong op. Use `decode_bmp` or `decode_image` instead. Op used: ",
            ctx.node().op);
      case ImageFormat::kGif: return no_gif();
      case ImageFormat::kUnknown: return unknown_format(file);
    }
    return internal_error("no such format");
  }

 private:
  int64_t channels_ = 0;
  DataType dtype_ = DataType::kUint8;
};

absl::Status read_options(KernelInit& init, JpegDecodeOptions* o) {
  MR_ASSIGN_OR_RETURN(const int64_t channels, init.attr<int64_t>("channels"));
  MR_RETURN_IF_ERROR(check_channels(channels, {0, 1, 3}));
  MR_ASSIGN_OR_RETURN(const int64_t ratio, init.attr<int64_t>("ratio"));
  if (ratio != 1 && ratio != 2 && ratio != 4 && ratio != 8)
    return invalid_argument("ratio must be 1, 2, 4, or 8, got ", ratio);
  MR_ASSIGN_OR_RETURN(const std::string dct, init.attr<std::string>("dct_method"));
  if (!dct.empty() && dct != "INTEGER_FAST" && dct != "INTEGER_ACCURATE")
    return invalid_argument("dct_method must be one of {'', 'INTEGER_FAST', 'INTEGER_ACCURATE'}, got '", dct, "'");
  o->channels = static_cast<int>(channels);
  o->ratio = static_cast<int>(ratio);
  o->fast_dct = dct != "INTEGER_ACCURATE";
  MR_ASSIGN_OR_RETURN(o->fancy_upscaling, init.attr<bool>("fancy_upscaling"));
  MR_ASSIGN_OR_RETURN(o->try_recover_truncated, init.attr<bool>("try_recover_truncated"));
  MR_ASSIGN_OR_RETURN(o->acceptable_fraction, init.attr<float>("acceptable_fraction"));
  return absl::OkStatus();
}

class DecodeJpeg final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return read_options(init, &options_); }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string file, file_of(ctx));
    ImageDecoder decoder(ctx, DataType::kUint8);
    switch (image_format(file)) {
      case ImageFormat::kPng: return decoder.png(file, options_.channels);
      case ImageFormat::kJpeg: return decoder.jpeg(file, options_);
      case ImageFormat::kBmp:
        return invalid_argument(
            "Trying to decode BMP format using a wrong op. Use `decode_bmp` or `decode_image` instead. Op used: ",
            ctx.node().op);
      case ImageFormat::kGif: return no_gif();
      case ImageFormat::kUnknown: return unknown_format(file);
    }
    return internal_error("no such format");
  }

 private:
  JpegDecodeOptions options_;
};

class DecodeBmp final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(channels_, init.attr<int64_t>("channels"));
    return check_channels(channels_, {0, 1, 3, 4});
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string file, file_of(ctx));
    if (image_format(file) != ImageFormat::kBmp)
      return invalid_argument("Trying to decode another format than BMP using a wrong op: DecodeBmp");
    return ImageDecoder(ctx, DataType::kUint8).bmp(file, static_cast<int>(channels_));
  }

 private:
  int64_t channels_ = 0;
};

class DecodeImage final : public Kernel {
 public:
  // expand_animations only concerns GIF.
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(channels_, init.attr<int64_t>("channels"));
    MR_RETURN_IF_ERROR(check_channels(channels_, {0, 1, 3, 4}));
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string file, file_of(ctx));
    ImageDecoder decoder(ctx, dtype_);
    const int channels = static_cast<int>(channels_);
    switch (image_format(file)) {
      case ImageFormat::kPng: return decoder.png(file, channels);
      case ImageFormat::kJpeg: return decoder.jpeg(file, {.channels = channels});
      case ImageFormat::kBmp: return decoder.bmp(file, channels);
      case ImageFormat::kGif: return no_gif();
      case ImageFormat::kUnknown: return unknown_format(file);
    }
    return internal_error("no such format");
  }

 private:
  int64_t channels_ = 0;
  DataType dtype_ = DataType::kUint8;
};

template <class T> class ExtractJpegShape final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string file, file_of(ctx));
    MR_ASSIGN_OR_RETURN(const ImageSize size, jpeg_size(file));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({3}));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    out[0] = static_cast<T>(size.height);
    out[1] = static_cast<T>(size.width);
    out[2] = static_cast<T>(size.channels);
    return absl::OkStatus();
  }
};

// ---- encoding

template <class T> class EncodePng final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(compression_, init.attr<int64_t>("compression"));
    if (compression_ < -1 || compression_ > 9)
      return invalid_argument("compression should be in [-1,9], got ", compression_);
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() < 3) return invalid_argument("images must be at least rank 3, got shape ", shape);
    const int r = shape.rank();
    const ImageSize size{shape.dim(r - 3), shape.dim(r - 2), shape.dim(r - 1)};
    MR_ASSIGN_OR_RETURN(const std::span<const T> in, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<std::string> out, ctx.output<std::string>(0, subshape(shape, 0, r - 3)));
    const int64_t samples = size.height * size.width * size.channels;
    for (size_t i = 0; i < out.size(); ++i) {
      MR_ASSIGN_OR_RETURN(out[i], encode_png(in.data() + static_cast<int64_t>(i) * samples, size, 8 * sizeof(T),
                                             static_cast<int>(compression_)));
    }
    return absl::OkStatus();
  }

 private:
  int64_t compression_ = -1;
};

absl::Status check_quality(int64_t quality) {
  if (quality < 0 || quality > 100) return invalid_argument("quality must be in [0,100], got ", quality);
  return absl::OkStatus();
}

// Input 0 as a JPEG file in output 0; wanted_channels 0: one or three.
absl::Status encode(KernelContext& ctx, const JpegEncodeOptions& options, int64_t wanted_channels) {
  const TensorShape& shape = ctx.shape(0);
  if (shape.rank() != 3) return invalid_argument("image must be 3-dimensional", shape);
  const ImageSize size{shape.dim(0), shape.dim(1), shape.dim(2)};
  if (wanted_channels != 0 && size.channels != wanted_channels)
    return invalid_argument("format expected ", wanted_channels, " channels, got ", size.channels);
  if (size.channels != 1 && size.channels != 3)
    return invalid_argument("image must have 1 or 3 channels, got ", size.channels);
  MR_ASSIGN_OR_RETURN(const std::span<const uint8_t> in, ctx.flat<uint8_t>(0));
  MR_ASSIGN_OR_RETURN(std::string file, encode_jpeg(in.data(), size, options));
  return ctx.set_scalar(0, std::move(file));
}

class EncodeJpeg final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string format, init.attr<std::string>("format"));
    channels_ = format == "grayscale" ? 1 : format == "rgb" ? 3 : 0;
    MR_ASSIGN_OR_RETURN(const int64_t quality, init.attr<int64_t>("quality"));
    MR_RETURN_IF_ERROR(check_quality(quality));
    options_.quality = static_cast<int>(quality);
    MR_ASSIGN_OR_RETURN(options_.progressive, init.attr<bool>("progressive"));
    MR_ASSIGN_OR_RETURN(options_.optimize_size, init.attr<bool>("optimize_size"));
    MR_ASSIGN_OR_RETURN(options_.chroma_downsampling, init.attr<bool>("chroma_downsampling"));
    MR_ASSIGN_OR_RETURN(const std::string unit, init.attr<std::string>("density_unit"));
    options_.density_in_centimeters = unit == "cm";
    MR_ASSIGN_OR_RETURN(const int64_t x, init.attr<int64_t>("x_density"));
    MR_ASSIGN_OR_RETURN(const int64_t y, init.attr<int64_t>("y_density"));
    if (x < 0 || x > UINT16_MAX || y < 0 || y > UINT16_MAX)
      return invalid_argument("x_density and y_density must be in [0,65535], got ", x, " and ", y);
    options_.x_density = static_cast<int>(x);
    options_.y_density = static_cast<int>(y);
    MR_ASSIGN_OR_RETURN(options_.xmp_metadata, init.attr<std::string>("xmp_metadata"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return encode(ctx, options_, channels_); }

 private:
  JpegEncodeOptions options_;
  int64_t channels_ = 0;
};

class EncodeJpegVariableQuality final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t quality, ctx.int_scalar(1));
    MR_RETURN_IF_ERROR(check_quality(quality));
    return encode(ctx, {.quality = static_cast<int>(quality)}, 0);
  }
};

// ---- shapes

absl::Status decoded_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const int64_t channels, c.attr<int64_t>("channels"));
  if (channels < 0) return invalid_argument("channels must be non-negative, got ", channels);
  return c.set_output(0, make_partial_shape({-1, -1, channels == 0 ? -1 : channels}));
}

absl::Status decode_image_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.set_output(0, PartialTensorShape());
}

absl::Status jpeg_shape_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.set_output(0, make_partial_shape({3}));
}

absl::Status encode_png_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape images, c.with_rank_at_least(0, 3));
  if (!images.has_rank()) return c.set_output(0, PartialTensorShape());
  return c.set_output(0, make_partial_shape(images.dims().first(static_cast<size_t>(images.rank() - 3))));
}

absl::Status encode_jpeg_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 3).status());
  return c.set_output(0, PartialTensorShape::scalar());
}

void register_decoders(Registry& registry) {
  registry.op("DecodePng")
      .input("contents: string")
      .output("image: dtype")
      .attr("channels: int = 0")
      .attr("dtype: {uint8, uint16} = DT_UINT8")
      .shape(decoded_shape)
      .cpu<DecodePng>()
      .not_differentiable()
      .doc("The pixels of a PNG file, [height, width, channels].");
  registry.op("DecodeJpeg")
      .input("contents: string")
      .output("image: uint8")
      .attr("channels: int = 0")
      .attr("ratio: int = 1")
      .attr("fancy_upscaling: bool = true")
      .attr("try_recover_truncated: bool = false")
      .attr("acceptable_fraction: float = 1.0")
      .attr("dct_method: string = ''")
      .shape(decoded_shape)
      .cpu<DecodeJpeg>()
      .not_differentiable()
      .doc("The pixels of a JPEG file, [height, width, channels].");
  registry.op("DecodeBmp")
      .input("contents: string")
      .output("image: uint8")
      .attr("channels: int = 0")
      .shape(decoded_shape)
      .cpu<DecodeBmp>()
      .not_differentiable()
      .doc("The pixels of a BMP file, [height, width, channels].");
  registry.op("DecodeImage")
      .input("contents: string")
      .output("image: dtype")
      .attr("channels: int = 0")
      .attr("dtype: {uint8, uint16, float32} = DT_UINT8")
      .attr("expand_animations: bool = true")
      .shape(decode_image_shape)
      .cpu<DecodeImage>()
      .not_differentiable()
      .doc("The pixels of a PNG, JPEG or BMP file; as float in [0, 1].");
  registry.op("ExtractJpegShape")
      .input("contents: string")
      .output("image_shape: output_type")
      .attr("output_type: {int32, int64} = DT_INT32")
      .shape(jpeg_shape_shape)
      .cpu<ExtractJpegShape, int32_t, int64_t>("output_type")
      .not_differentiable()
      .doc("Height, width and channels of a JPEG file.");
}

}  // namespace

void register_image_codec(Registry& registry) {
  register_decoders(registry);
  registry.op("EncodePng")
      .input("image: T")
      .output("contents: string")
      .attr("compression: int = -1")
      .attr("T: {uint8, uint16} = DT_UINT8")
      .shape(encode_png_shape)
      .cpu<EncodePng, uint8_t, uint16_t>()
      .not_differentiable()
      .doc("A PNG file of each image.");
  registry.op("EncodeJpeg")
      .input("image: uint8")
      .output("contents: string")
      .attr("format: {'', 'grayscale', 'rgb'} = ''")
      .attr("quality: int = 95")
      .attr("progressive: bool = false")
      .attr("optimize_size: bool = false")
      .attr("chroma_downsampling: bool = true")
      .attr("density_unit: {'in', 'cm'} = 'in'")
      .attr("x_density: int = 300")
      .attr("y_density: int = 300")
      .attr("xmp_metadata: string = ''")
      .shape(encode_jpeg_shape)
      .cpu<EncodeJpeg>()
      .not_differentiable()
      .doc("An image as a JPEG file.");
  registry.op("EncodeJpegVariableQuality")
      .input("images: uint8")
      .input("quality: int32")
      .output("contents: string")
      .shape(encode_jpeg_shape)
      .cpu<EncodeJpegVariableQuality>()
      .not_differentiable()
      .doc("An image as a JPEG file of the given quality.");
}

}  // namespace millrace
