#include <zlib.h>

#include <array>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

// Smooth enough for JPEG.
template <class T> Tensor pixels(TensorShape shape, int factor = 1) {
  std::vector<T> values(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>((i / 3 * 5 + i % 3 * 40) % 251 * static_cast<size_t>(factor));
  return Tensor(shape, std::move(values));
}

std::string encode(const char* op, const Tensor& image) {
  OpTest t(all_ops(), op);
  t.input(image);
  const absl::Status status = t.run();
  EXPECT_TRUE(status.ok()) << status;
  return status.ok() ? t.output(0).scalar<std::string>() : std::string();
}
std::string small_png() { return encode("EncodePng", pixels<uint8_t>({5, 4, 3})); }
std::string small_jpeg() { return encode("EncodeJpeg", pixels<uint8_t>({9, 10, 3})); }

absl::StatusOr<Tensor> decode(const char* op, const std::string& file, AttrMap attrs = {}) {
  OpTest t(all_ops(), op);
  for (const auto& [name, value] : attrs) t.attr(name, value);
  t.input(Tensor(file));
  MR_RETURN_IF_ERROR(t.run());
  return t.output(0);
}

TEST(Png, comes_back_as_it_was) {
  for (const int64_t channels : {1, 2, 3, 4}) {
    const Tensor bytes = pixels<uint8_t>({7, 5, channels}), words = pixels<uint16_t>({7, 5, channels}, 257);
    const auto eight = decode("DecodePng", encode("EncodePng", bytes));
    ASSERT_TRUE(eight.ok()) << eight.status();
    EXPECT_EQ(eight->shape(), bytes.shape());
    EXPECT_EQ(eight->to_vector<uint8_t>(), bytes.to_vector<uint8_t>());
    const auto sixteen = decode("DecodePng", encode("EncodePng", words), {{"dtype", DataType::kUint16}});
    ASSERT_TRUE(sixteen.ok()) << sixteen.status();
    EXPECT_EQ(sixteen->to_vector<uint16_t>(), words.to_vector<uint16_t>());
    // 8 bits widened are 257 times as much: all of the range stays in use.
    const auto widened = decode("DecodePng", encode("EncodePng", bytes), {{"dtype", DataType::kUint16}});
    ASSERT_TRUE(widened.ok()) << widened.status();
    EXPECT_EQ(widened->to_vector<uint16_t>(), words.to_vector<uint16_t>());
  }
}

TEST(Png, channels_are_made_as_asked) {
  for (const int64_t wanted : {1, 3, 4}) {
    const auto image = decode("DecodePng", small_png(), {{"channels", wanted}});
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->shape(), TensorShape({5, 4, wanted}));
  }
  EXPECT_EQ(decode("DecodePng", small_png(), {{"channels", int64_t{5}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Png, a_batch_is_encoded_image_by_image) {
  OpTest t(all_ops(), "EncodePng");
  t.input(pixels<uint8_t>({2, 3, 4, 4, 1}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({2, 3}));
}

TEST(Jpeg, comes_back_nearly) {
  const Tensor image = pixels<uint8_t>({9, 10, 3});
  for (const bool progressive : {false, true}) {
    OpTest t(all_ops(), "EncodeJpeg");
    t.attr("progressive", progressive).attr("chroma_downsampling", false).attr("quality", int64_t{100});
    t.attr("optimize_size", true).attr("xmp_metadata", std::string("some")).input(image);
    ASSERT_TRUE(t.run().ok());
    const std::string file = t.output(0).scalar<std::string>();
    EXPECT_NE(file.find("http://ns.adobe.com/xap/1.0/"), std::string::npos);
    const auto decoded = decode("DecodeJpeg", file, {{"dct_method", std::string("INTEGER_ACCURATE")}});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(decoded->shape(), image.shape());
    for (size_t i = 0; i < 270; ++i) EXPECT_NEAR(decoded->flat<uint8_t>()[i], image.flat<uint8_t>()[i], 4) << i;
    EXPECT_EQ(decode("ExtractJpegShape", file)->to_vector<int32_t>(), (std::vector<int32_t>{9, 10, 3}));
  }
}

TEST(Jpeg, ratios_make_it_smaller) {
  for (const int64_t ratio : {1, 2, 4, 8}) {
    const auto image = decode("DecodeJpeg", small_jpeg(), {{"ratio", ratio}});
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->shape(), TensorShape({(9 + ratio - 1) / ratio, (10 + ratio - 1) / ratio, 3}));
  }
  EXPECT_FALSE(decode("DecodeJpeg", small_jpeg(), {{"ratio", int64_t{3}}}).ok());
  EXPECT_FALSE(decode("DecodeJpeg", small_jpeg(), {{"dct_method", std::string("SLOW")}}).ok());
}

TEST(Jpeg, a_truncated_file_is_an_error_unless_it_may_be) {
  const std::string whole = small_jpeg();
  const std::string cut = whole.substr(0, whole.size() - 20);
  EXPECT_EQ(decode("DecodeJpeg", cut).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(decode("DecodeJpeg", cut, {{"try_recover_truncated", true}}).ok());
}

TEST(Images, decoders_tell_the_format_by_the_bytes) {
  for (const char* op : {"DecodePng", "DecodeJpeg", "DecodeImage"}) {
    EXPECT_TRUE(decode(op, small_png()).ok()) << op;
    EXPECT_TRUE(decode(op, small_jpeg()).ok()) << op;
    for (const char* other : {"", "abc", "GIF89a\1\1\1\1", "BM"}) EXPECT_FALSE(decode(op, other).ok()) << op << other;
  }
  EXPECT_FALSE(decode("DecodeBmp", small_png()).ok());
}

TEST(Images, decode_image_converts) {
  const std::string png = encode("EncodePng", Tensor(TensorShape({1, 2, 1}), std::vector<uint8_t>{51, 255}));
  EXPECT_EQ(decode("DecodeImage", png, {{"dtype", DataType::kFloat}})->to_vector<float>(),
            (std::vector<float>{0.2f, 1}));
  EXPECT_EQ(decode("DecodeImage", png, {{"dtype", DataType::kUint16}})->to_vector<uint16_t>(),
            (std::vector<uint16_t>{51 * 257, 65535}));
}

// ---- bad files: a clear error, no crash, no room for what is not there

TEST(Images, no_part_of_a_file_is_a_file) {
  for (const std::string& file : {small_png(), small_jpeg()}) {
    for (size_t n = 0; n < file.size(); ++n) {
      const auto image = decode("DecodeImage", file.substr(0, n));
      EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << n << " of " << file.size();
    }
  }
}

TEST(Images, flipped_bits_give_an_image_or_an_error) {
  for (const std::string& file : {small_png(), small_jpeg()}) {
    for (size_t n = 0; n < file.size(); ++n) {
      for (const int mask : {0x01, 0x80, 0xff}) {
        std::string damaged = file;
        damaged[n] = static_cast<char>(damaged[n] ^ mask);
        const auto image = decode("DecodeImage", damaged);
        if (!image.ok())
          EXPECT_TRUE(image.status().code() == absl::StatusCode::kInvalidArgument ||
                      image.status().code() == absl::StatusCode::kUnimplemented)
              << n << ": " << image.status();
      }
    }
  }
}

void put_big_endian(std::string& file, size_t at, uint32_t value) {
  for (int i = 0; i < 4; ++i) file[at + static_cast<size_t>(i)] = static_cast<char>(value >> (24 - 8 * i));
}

TEST(Images, a_png_that_claims_to_be_large_is_told_from_its_bytes) {
  for (const uint32_t side : {20000u, 0x7fffffffu}) {
    std::string file = small_png();
    put_big_endian(file, 16, side);
    put_big_endian(file, 20, side);
    const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(file.data()) + 12, 17);
    put_big_endian(file, 29, static_cast<uint32_t>(crc));
    EXPECT_EQ(decode("DecodePng", file).status().code(), absl::StatusCode::kInvalidArgument) << side;
  }
}

TEST(Images, a_jpeg_that_claims_to_be_large_is_told_from_its_bytes) {
  std::string file = small_jpeg();
  const size_t frame = file.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  for (size_t i = 5; i < 9; ++i) file[frame + i] = '\xff';
  EXPECT_EQ(decode("DecodeJpeg", file).status().code(), absl::StatusCode::kInvalidArgument);
}

// ---- BMP

std::string bmp(int32_t width, int32_t height, int bits, const std::string& rows) {
  std::string file(54, '\0');
  const auto put = [&](size_t at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
  };
  file[0] = 'B', file[1] = 'M';
  put(10, 54, 4);
  put(18, static_cast<uint32_t>(width), 4);
  put(22, static_cast<uint32_t>(height), 4);
  put(28, static_cast<uint32_t>(bits), 2);
  return file + rows;
}

TEST(Bmp, rows_are_padded_and_upside_down) {
  const std::string rows("\3\2\1\6\5\4\0\0\x9\x8\x7\xc\xb\xa\0\0", 16);
  EXPECT_EQ(decode("DecodeBmp", bmp(2, 2, 24, rows))->to_vector<uint8_t>(),
            (std::vector<uint8_t>{7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(decode("DecodeBmp", bmp(2, -2, 24, rows))->to_vector<uint8_t>(),
            (std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
}

TEST(Bmp, bad_headers_are_errors) {
  const std::string rows(16, '\1');
  for (const auto& [width, height, bits] : std::initializer_list<std::array<int32_t, 3>>{{2, 3, 24},
                                                                                         {0, 2, 24},
                                                                                         {-2, 2, 24},
                                                                                         {2, 0, 24},
                                                                                         {2, INT32_MIN, 24},
                                                                                         {INT32_MAX, INT32_MAX, 32},
                                                                                         {2, 2, 16},
                                                                                         {2, 2, 1},
                                                                                         {2, 2, 31},
                                                                                         {INT32_MAX, 1, 8}}) {
    EXPECT_EQ(decode("DecodeBmp", bmp(width, height, bits, rows)).status().code(), absl::StatusCode::kInvalidArgument)
        << width << " " << height << " " << bits;
  }
  EXPECT_FALSE(decode("DecodeBmp", "BM").ok());
}

TEST(Images, what_cannot_be_encoded_is_an_error) {
  for (const TensorShape& shape : {TensorShape({0, 4, 3}), TensorShape({4, 0, 3}), TensorShape({4, 4, 0}),
                                   TensorShape({4, 4, 5}), TensorShape({4, 4})}) {
    for (const char* op : {"EncodePng", "EncodeJpeg"}) {
      OpTest t(all_ops(), op);
      t.input(pixels<uint8_t>(shape));
      EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument) << op << shape.to_string();
    }
  }
}

}  // namespace
}  // namespace millrace
