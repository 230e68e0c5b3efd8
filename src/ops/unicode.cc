// Strings of some encoding to code points, and back. UTF-8, UTF-16 and UTF-32 are read here; other encodings by the C
// library's iconv, whose names are the usual ones (ISO-8859-1, SHIFT_JIS, WINDOWS-1252...).

#include <iconv.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

#include "op/shape_context.h"

namespace millrace {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

// A character as it was read: what no character was is an error of that many bytes.
struct Read {
  uint32_t code = kReplacement;
  size_t bytes = 1;
  bool error = false;
};

bool is_surrogate(uint32_t c) { return c >= 0xD800 && c < 0xE000; }

// Reads what stands at the beginning of `text`, which is not empty.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Read next(std::string_view text) = 0;
  virtual void restart() {}  // before each string
};

// An ill-formed sequence is one error for each of its longest well-formed beginnings (Unicode 15, section 3.9).
class Utf8Reader final : public Reader {
 public:
  Read next(std::string_view text) override {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    if (lead < 0x80) return {lead, 1, false};
    if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1, true};
    const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t code = lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
      if (i >= text.size()) return {kReplacement, i, true};
      uint8_t low = 0x80, high = 0xBF;
      if (i == 1 && lead == 0xE0) low = 0xA0;
      if (i == 1 && lead == 0xED) high = 0x9F;
      if (i == 1 && lead == 0xF0) low = 0x90;
      if (i == 1 && lead == 0xF4) high = 0x8F;
      if (byte(i) < low || byte(i) > high) return {kReplacement, i, true};
      code = (code << 6) | (byte(i) & 0x3F);
    }
    return {code, length, false};
  }
};

class Utf16Reader final : public Reader {
 public:
  explicit Utf16Reader(bool big_endian) : big_(big_endian) {}
  Read next(std::string_view text) override {
    if (text.size() < 2) return {kReplacement, text.size(), true};
    const uint32_t first = unit(text, 0);
    if (!is_surrogate(first)) return {first, 2, false};
    if (first >= 0xDC00 || text.size() < 4) return {kReplacement, first >= 0xDC00 ? 2 : text.size(), true};
    const uint32_t second = unit(text, 2);
    if (second < 0xDC00 || second >= 0xE000) return {kReplacement, 2, true};
    return {0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00), 4, false};
  }

 private:
  uint32_t unit(std::string_view text, size_t at) const {
    const uint32_t a = static_cast<uint8_t>(text[at]), b = static_cast<uint8_t>(text[at + 1]);
    return big_ ? (a << 8) | b : (b << 8) | a;
  }
  const bool big_;
};

class Utf32Reader final : public Reader {
 public:
  explicit Utf32Reader(bool big_endian) : big_(big_endian) {}
  Read next(std::string_view text) override {
    if (text.size() < 4) return {kReplacement, text.size(), true};
    uint32_t code = 0;
    for (size_t i = 0; i < 4; ++i) code = (code << 8) | static_cast<uint8_t>(text[big_ ? i : 3 - i]);
    if (code > 0x10FFFF || is_surrogate(code)) return {kReplacement, 4, true};
    return {code, 4, false};
  }

 private:
  const bool big_;
};

// A byte order mark in front of a string decides its order and belongs to its first character, as in ICU; big-endian
// without one. After a mark alone ICU reads U+FFFF.
template <class Encoding> class MarkedReader final : public Reader {
 public:
  explicit MarkedReader(size_t unit) : unit_(unit) {}
  void restart() override {
    first_ = true;
    reader_ = &big_;
  }
  Read next(std::string_view text) override {
    const size_t mark = std::exchange(first_, false) ? read_mark(text) : 0;
    if (mark > 0 && text.size() == mark) return {0xFFFF, mark, false};
    Read read = reader_->next(text.substr(mark));
    read.bytes += mark;
    return read;
  }

 private:
  size_t read_mark(std::string_view text) {
    for (Encoding* candidate : {&big_, &little_}) {
      if (text.size() < unit_ || candidate->next(text.substr(0, unit_)).code != 0xFEFF) continue;
      reader_ = candidate;
      return unit_;
    }
    return 0;
  }
  const size_t unit_;  // bytes
  Encoding big_{true}, little_{false};
  Encoding* reader_ = &big_;
  bool first_ = true;
};

class IconvReader final : public Reader {
 public:
  explicit IconvReader(iconv_t converter) : converter_(converter) {}
  ~IconvReader() override { iconv_close(converter_); }
  IconvReader(const IconvReader&) = delete;
  IconvReader& operator=(const IconvReader&) = delete;

  // Bytes are added until there is one character: iconv has room for one only. Sequences that change the state, and
  // are no character, count to the one behind them.
  Read next(std::string_view text) override {
    size_t begin = 0;
    for (size_t end = 1; end <= std::min(text.size(), begin + kLongest); ++end) {
      char* in = const_cast<char*>(text.data()) + begin;  // iconv's interface; it does not write there
      size_t in_left = end - begin;
      unsigned char out[4];
      auto* to = reinterpret_cast<char*>(out);
      size_t out_left = sizeof(out);
      const size_t result = iconv(converter_, &in, &in_left, &to, &out_left);
      const bool failed = result == static_cast<size_t>(-1) && errno != EINVAL;
      begin = end - in_left;
      if (out_left == 0)
        return {uint32_t{out[0]} << 24 | uint32_t{out[1]} << 16 | uint32_t{out[2]} << 8 | out[3], begin, false};
      if (failed) break;
    }
    restart();
    return {kReplacement, begin + 1, true};
  }
  void restart() override { iconv(converter_, nullptr, nullptr, nullptr, nullptr); }

 private:
  static constexpr size_t kLongest = 16;
  const iconv_t converter_;
};

std::string canonical(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c != '-' && c != '_' && c != ' ') text += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

absl::StatusOr<std::unique_ptr<Reader>> make_reader(const std::string& encoding) {
  const std::string name = canonical(encoding);
  if (name == "UTF8") return std::make_unique<Utf8Reader>();
  if (name == "UTF16") return std::make_unique<MarkedReader<Utf16Reader>>(2);
  if (name == "UTF16BE") return std::make_unique<Utf16Reader>(true);
  if (name == "UTF16LE") return std::make_unique<Utf16Reader>(false);
  if (name == "UTF32") return std::make_unique<MarkedReader<Utf32Reader>>(4);
  if (name == "UTF32BE") return std::make_unique<Utf32Reader>(true);
  if (name == "UTF32LE") return std::make_unique<Utf32Reader>(false);
  // A slash would be a suffix of iconv's, or a path.
  const bool plain = !name.empty() && encoding.size() < 64 && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == ':' || c == '.';
  });
  // ICU reads names without their punctuation; iconv knows some with it, some without.
  std::string dashes = encoding;
  std::ranges::replace(dashes, '_', '-');
  std::vector<std::string> spellings = {encoding, dashes, name.starts_with("WINDOWS") ? "CP" + name.substr(7) : name};
  // ICU's Shift_JIS has a backslash where iconv's has the yen sign, and the characters of Windows.
  for (const char* alias : {"SHIFTJIS", "SJIS", "XSJIS", "MS932", "WINDOWS31J"}) {
    if (name == alias) spellings = {"CP932"};
  }
  for (const std::string& spelling : spellings) {
    const iconv_t converter = plain ? iconv_open("UTF-32BE", spelling.c_str()) : reinterpret_cast<iconv_t>(-1);
    if (converter != reinterpret_cast<iconv_t>(-1)) return std::make_unique<IconvReader>(converter);
  }
  return invalid_argument("Could not create converter for input encoding: ", encoding);
}

enum class Output { kUtf8, kUtf16, kUtf32 };

absl::StatusOr<Output> output_encoding(const std::string& name) {
  if (name == "UTF-8") return Output::kUtf8;
  if (name == "UTF-16-BE") return Output::kUtf16;
  if (name == "UTF-32-BE") return Output::kUtf32;
  return invalid_argument("output_encoding must be UTF-8, UTF-16-BE or UTF-32-BE, got ", name);
}

void append_unit(std::string* text, uint32_t unit, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) *text += static_cast<char>(unit >> (8 * i));
}

// A code point that is a character in any of these encodings.
void append(std::string* text, uint32_t code, Output encoding) {
  if (encoding == Output::kUtf32) return append_unit(text, code, 4);
  if (encoding == Output::kUtf16) {
    if (code < 0x10000) return append_unit(text, code, 2);
    append_unit(text, 0xD800 + ((code - 0x10000) >> 10), 2);
    return append_unit(text, 0xDC00 + ((code - 0x10000) & 0x3FF), 2);
  }
  const auto tail = [&](int shift) { *text += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    *text += static_cast<char>(code);
  } else if (code < 0x800) {
    *text += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    *text += static_cast<char>(0xE0 | (code >> 12));
    tail(6), tail(0);
  } else {
    *text += static_cast<char>(0xF0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

// What is done with what is no character, or no wanted one.
struct ErrorOptions {
  bool strict = false, ignore = false, replace_control = false;
  uint32_t replacement = kReplacement;

  absl::Status init(const KernelInit& init) {
    MR_ASSIGN_OR_RETURN(const std::string errors, init.attr<std::string>("errors"));
    MR_ASSIGN_OR_RETURN(const int64_t code, init.attr<int64_t>("replacement_char"));
    strict = errors == "strict";
    ignore = errors == "ignore";
    if (code < 0 || code > 0x10FFFF || is_surrogate(static_cast<uint32_t>(code)))
      return invalid_argument("replacement_char out of unicode codepoint range");
    replacement = static_cast<uint32_t>(code);
    if (!init.has_attr("replace_control_characters")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(replace_control, init.attr<bool>("replace_control_characters"));
    return absl::OkStatus();
  }

  // Calls fn(code, position, bytes) for each character of the text.
  template <class Fn> absl::Status decode(Reader& reader, std::string_view text, Fn&& fn) const {
    reader.restart();
    for (size_t at = 0; at < text.size();) {
      Read read = reader.next(text.substr(at));
      read.bytes = std::clamp<size_t>(read.bytes, 1, text.size() - at);
      if (read.error && strict) return invalid_argument("Invalid formatting on input string");
      const bool bad = read.error || (replace_control && read.code <= 0x1F);
      if (!bad || !ignore) fn(bad ? replacement : read.code, at);
      at += read.bytes;
    }
    return absl::OkStatus();
  }
};

template <class S, bool kOffsets> class UnicodeDecode final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(encoding_, init.attr<std::string>("input_encoding"));
    MR_RETURN_IF_ERROR(options_.init(init));
    return make_reader(encoding_).status();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto texts, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::unique_ptr<Reader> reader, make_reader(encoding_));
    MR_ASSIGN_OR_RETURN(const TensorShape splits_shape, make_shape({static_cast<int64_t>(texts.size()) + 1}));
    MR_ASSIGN_OR_RETURN(const auto splits, ctx.output<S>(0, splits_shape));
    std::vector<int32_t> codes;
    std::vector<int64_t> offsets;
    splits[0] = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      MR_RETURN_IF_ERROR(options_.decode(*reader, texts[i], [&](uint32_t code, size_t at) {
        codes.push_back(static_cast<int32_t>(code));
        if constexpr (kOffsets) offsets.push_back(static_cast<int64_t>(at));
      }));
      if (codes.size() > static_cast<size_t>(std::numeric_limits<S>::max()))
        return invalid_argument("UnicodeDecode: row splits do not fit ", dtype_name(dtype_of<S>));
      splits[i + 1] = static_cast<S>(codes.size());
    }
    MR_ASSIGN_OR_RETURN(Tensor values, make_vector<int32_t>(codes));
    MR_RETURN_IF_ERROR(ctx.set_output(1, std::move(values)));
    if constexpr (!kOffsets) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(Tensor starts, make_vector<int64_t>(offsets));
    return ctx.set_output(2, std::move(starts));
  }

  std::string encoding_;
  ErrorOptions options_;
};
template <class S> using Decode = UnicodeDecode<S, false>;
template <class S> using DecodeWithOffsets = UnicodeDecode<S, true>;

class UnicodeTranscode final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(encoding_, init.attr<std::string>("input_encoding"));
    MR_ASSIGN_OR_RETURN(const std::string output, init.attr<std::string>("output_encoding"));
    MR_ASSIGN_OR_RETURN(output_, output_encoding(output));
    MR_RETURN_IF_ERROR(options_.init(init));
    return make_reader(encoding_).status();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto texts, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::unique_ptr<Reader> reader, make_reader(encoding_));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < texts.size(); ++i) {
      MR_RETURN_IF_ERROR(
          options_.decode(*reader, texts[i], [&](uint32_t code, size_t) { append(&out[i], code, output_); }));
    }
    return absl::OkStatus();
  }

  std::string encoding_;
  Output output_ = Output::kUtf8;
  ErrorOptions options_;
};

// False for surrogates, noncharacters, and what is beyond Unicode.
bool is_character(int32_t code) {
  const auto c = static_cast<uint32_t>(code);
  return c <= 0x10FFFF && !is_surrogate(c) && (c & 0xFFFE) != 0xFFFE && !(c >= 0xFDD0 && c <= 0xFDEF);
}

template <class S> class UnicodeEncode final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string output, init.attr<std::string>("output_encoding"));
    MR_ASSIGN_OR_RETURN(output_, output_encoding(output));
    return options_.init(init);
  }

  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 1 || ctx.shape(1).rank() != 1)
      return invalid_argument("input_values and input_splits must be vectors, got shapes ", ctx.shape(0), " and ",
                              ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto codes, ctx.vector<int32_t>(0));
    MR_ASSIGN_OR_RETURN(const auto splits, ctx.vector<S>(1));
    if (splits.empty()) return invalid_argument("Input_splits should contain elements, but was 0.");
    if (splits[0] != 0) return invalid_argument("First value in input_splits must be zero.");
    if (static_cast<int64_t>(splits.back()) != static_cast<int64_t>(codes.size()))
      return invalid_argument("Last value in input_splits must be equal to length of input_tensor.");
    if (!std::ranges::is_sorted(splits))
      return invalid_argument("Values in input_splits must be equal or in ascending order.");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(splits.size()) - 1}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, shape));
    for (size_t i = 0; i < out.size(); ++i) {
      const auto begin = static_cast<size_t>(splits[i]), end = static_cast<size_t>(splits[i + 1]);
      for (const int32_t code : codes.subspan(begin, end - begin)) {
        if (is_character(code)) {
          append(&out[i], static_cast<uint32_t>(code), output_);
        } else if (options_.strict) {
          return invalid_argument("Code point is out of range for Unicode, or a noncharacter.");
        } else if (!options_.ignore) {
          append(&out[i], options_.replacement, output_);
        }
      }
    }
    return absl::OkStatus();
  }

  Output output_ = Output::kUtf8;
  ErrorOptions options_;
};

// --- shapes

absl::Status decode_shape(ShapeContext& c) {
  const int64_t n = c.input(0).num_elements();
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({n < 0 ? -1 : n + 1})));
  for (int i = 1; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, unknown_shape_of_rank(1)));
  return absl::OkStatus();
}

absl::Status encode_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape splits, c.with_rank(1, 1));
  const int64_t n = splits.has_rank() ? splits.dim(0) : -1;
  if (n == 0) return invalid_argument("Input_splits should contain elements, but was 0.");
  return c.set_output(0, make_partial_shape({n < 0 ? -1 : n - 1}));
}

OpBuilder decode_attrs(OpBuilder op) {
  return op.attr("input_encoding: string")
      .attr("errors: {'strict', 'replace', 'ignore'} = 'replace'")
      .attr("replacement_char: int = 65533")
      .attr("replace_control_characters: bool = false")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(decode_shape)
      .not_differentiable();
}

}  // namespace

void register_unicode(Registry& registry) {
  decode_attrs(
      registry.op("UnicodeDecode").input("input: string").output("row_splits: Tsplits").output("char_values: int32"))
      .cpu<Decode, int32_t, int64_t>("Tsplits")
      .doc("The code points of strings, one behind the other, and where each string's begin.");
  decode_attrs(registry.op("UnicodeDecodeWithOffsets")
                   .input("input: string")
                   .output("row_splits: Tsplits")
                   .output("char_values: int32")
                   .output("char_to_byte_starts: int64"))
      .cpu<DecodeWithOffsets, int32_t, int64_t>("Tsplits")
      .doc("The code points of strings, and the byte at which each begins.");
  registry.op("UnicodeEncode")
      .input("input_values: int32")
      .input("input_splits: Tsplits")
      .output("output: string")
      .attr("errors: {'ignore', 'replace', 'strict'} = 'replace'")
      .attr("output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}")
      .attr("replacement_char: int = 65533")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(encode_shape)
      .cpu<UnicodeEncode, int32_t, int64_t>("Tsplits")
      .not_differentiable()
      .doc("Strings of code points.");
  registry.op("UnicodeTranscode")
      .input("input: string")
      .output("output: string")
      .attr("input_encoding: string")
      .attr("output_encoding: {'UTF-8', 'UTF-16-BE', 'UTF-32-BE'}")
      .attr("errors: {'strict', 'replace', 'ignore'} = 'replace'")
      .attr("replacement_char: int = 65533")
      .attr("replace_control_characters: bool = false")
      .shape(unchanged_shape)
      .cpu<UnicodeTranscode>()
      .not_differentiable()
      .doc("Strings in another encoding.");
}

}  // namespace millrace
