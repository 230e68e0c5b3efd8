// Strings joined, split, cut and changed.

#include <locale.h>

#include <cwctype>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class StringJoin final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string separator, get_attr<std::string>(ctx.node(), "separator"));
    // Scalars stand for every place of the others.
    TensorShape shape;
    bool scalar = true;
    std::vector<std::span<const std::string>> parts;
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      MR_ASSIGN_OR_RETURN(const auto part, ctx.flat<std::string>(i));
      parts.push_back(part);
      if (ctx.shape(i).rank() == 0) continue;
      if (!scalar && ctx.shape(i) != shape)
        return invalid_argument("Input shapes do not match: ", shape, " vs. ", ctx.shape(i));
      shape = ctx.shape(i);
      scalar = false;
    }
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, shape));
    for (size_t e = 0; e < out.size(); ++e) {
      out[e].clear();
      for (size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) out[e] += separator;
        out[e] += parts[i][ctx.shape(static_cast<int>(i)).rank() == 0 ? 0 : e];
      }
    }
    return absl::OkStatus();
  }
};

// Pieces of a batch of strings as a sparse matrix.
class SplitKernel : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.vector<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto sep, ctx.flat<std::string>(1));
    if (sep.size() != 1 && !(sep.empty() && !is_v2_))
      return invalid_argument(is_v2_ ? "sep" : "delimiter", " must be a scalar, got shape: ", ctx.shape(1));
    const std::string separator = sep.empty() ? std::string() : sep[0];
    std::vector<int64_t> counts;
    std::vector<std::string_view> pieces;
    int64_t most = 0;
    for (const std::string& s : in) {
      const size_t before = pieces.size();
      split(s, separator, &pieces);
      counts.push_back(static_cast<int64_t>(pieces.size() - before));
      most = std::max(most, counts.back());
    }
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({static_cast<int64_t>(pieces.size()), 2}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({static_cast<int64_t>(pieces.size())}));
    MR_ASSIGN_OR_RETURN(const TensorShape two, make_shape({2}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int64_t>(0, indices_shape));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.output<std::string>(1, values_shape));
    MR_ASSIGN_OR_RETURN(const auto dense_shape, ctx.output<int64_t>(2, two));
    dense_shape[0] = static_cast<int64_t>(in.size());
    dense_shape[1] = most;
    size_t next = 0;
    for (size_t row = 0; row < counts.size(); ++row) {
      for (int64_t column = 0; column < counts[row]; ++column, ++next) {
        indices[2 * next] = static_cast<int64_t>(row);
        indices[2 * next + 1] = column;
        values[next] = pieces[next];
      }
    }
    return absl::OkStatus();
  }

 protected:
  explicit SplitKernel(bool is_v2) : is_v2_(is_v2) {}
  virtual void split(std::string_view s, std::string_view separator, std::vector<std::string_view>* pieces) const = 0;

 private:
  bool is_v2_;
};

// At any of the delimiter's bytes; without delimiter, at every byte.
class StringSplit final : public SplitKernel {
 public:
  StringSplit() : SplitKernel(false) {}

 private:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(skip_empty_, init.attr<bool>("skip_empty"));
    return absl::OkStatus();
  }
  void split(std::string_view s, std::string_view delimiter, std::vector<std::string_view>* pieces) const override {
    if (delimiter.empty()) {
      for (size_t i = 0; i < s.size(); ++i) pieces->push_back(s.substr(i, 1));
      return;
    }
    if (s.empty()) return;
    for (size_t begin = 0; begin <= s.size();) {
      const size_t end = std::min(s.find_first_of(delimiter, begin), s.size());
      if (end > begin || !skip_empty_) pieces->push_back(s.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  bool skip_empty_ = true;
};

// As Python's str.split: at the whole separator, or at runs of white space; at most maxsplit times.
class StringSplitV2 final : public SplitKernel {
 public:
  StringSplitV2() : SplitKernel(true) {}

 private:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(maxsplit_, init.attr<int64_t>("maxsplit"));
    return absl::OkStatus();
  }
  void split(std::string_view s, std::string_view separator, std::vector<std::string_view>* pieces) const override {
    int64_t left = maxsplit_ < 0 ? INT64_MAX : maxsplit_;
    if (separator.empty()) return split_at_space(s, left, pieces);
    if (s.empty()) {
      pieces->push_back(s);
      return;
    }
    while (left-- > 0) {
      const size_t at = s.find(separator);
      if (at == std::string_view::npos) break;
      pieces->push_back(s.substr(0, at));
      s.remove_prefix(at + separator.size());
    }
    pieces->push_back(s);
  }
  static void split_at_space(std::string_view s, int64_t left, std::vector<std::string_view>* pieces) {
    // Unlike Python: no split at all leaves the space, and what follows the last split allowed is a piece even if
    // empty.
    size_t i = 0;
    if (left == 0) return pieces->push_back(s);
    while (true) {
      while (i < s.size() && is_space(s[i])) ++i;
      if (left-- == 0) return pieces->push_back(s.substr(i));
      if (i == s.size()) return;
      const size_t begin = i;
      while (i < s.size() && !is_space(s[i])) ++i;
      pieces->push_back(s.substr(begin, i - begin));
    }
  }
  int64_t maxsplit_ = -1;
};

// ---- Characters

// A byte that goes on with the character before it.
bool is_continuation(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

size_t count_characters(std::string_view s) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return !is_continuation(c); }));
}

// The byte at which character `n` starts; the end if there are fewer.
size_t character_offset(std::string_view s, size_t n) {
  for (size_t i = 0; i < s.size(); ++i) {
    if (is_continuation(s[i])) continue;
    if (n == 0) return i;
    --n;
  }
  return s.size();
}

class StringLength final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::string unit, get_attr<std::string>(ctx.node(), "unit"));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int32_t>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i)
      out[i] = static_cast<int32_t>(unit == "BYTE" ? in[i].size() : count_characters(in[i]));
    return absl::OkStatus();
  }
};

// Walks `out` in row-major order and gives each element's offset in a tensor broadcast to it.
class BroadcastOffsets {
 public:
  BroadcastOffsets(const TensorShape& in, const TensorShape& out)
      : index_(static_cast<size_t>(out.rank()), 0), out_(out) {
    int64_t stride = 1;
    strides_.assign(static_cast<size_t>(out.rank()), 0);
    for (int d = in.rank() - 1; d >= 0; --d) {
      if (in.dim(d) != 1) strides_[static_cast<size_t>(out.rank() - in.rank() + d)] = stride;
      stride *= in.dim(d);
    }
  }
  size_t next() {
    const int64_t at = offset_;
    for (int d = out_.rank() - 1; d >= 0; --d) {
      const auto u = static_cast<size_t>(d);
      offset_ += strides_[u];
      if (++index_[u] < out_.dim(d)) break;
      offset_ -= strides_[u] * out_.dim(d);
      index_[u] = 0;
    }
    return static_cast<size_t>(at);
  }

 private:
  std::vector<int64_t> strides_, index_;
  const TensorShape& out_;
  int64_t offset_ = 0;
};

template <class T> class Substr final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto pos, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto len, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const std::string unit, get_attr<std::string>(ctx.node(), "unit"));
    if (ctx.shape(1) != ctx.shape(2))
      return invalid_argument("pos and len should have the same shape, got: ", ctx.shape(1), " vs. ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, broadcast(ctx.shape(0), ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, shape));
    BroadcastOffsets in_at(ctx.shape(0), shape), pos_at(ctx.shape(1), shape);
    for (size_t i = 0; i < out.size(); ++i) {
      const std::string& s = in[in_at.next()];
      const size_t p = pos_at.next();
      if (!cut(s, pos[p], len[p], unit == "BYTE", &out[i]))
        return invalid_argument("pos ", pos[p], " out of range for string", "b'", s, "' at index ", i);
    }
    return absl::OkStatus();
  }

  // A negative position counts from the end; a length beyond the end, or a negative one, takes what is there.
  static bool cut(const std::string& s, int64_t pos, int64_t len, bool bytes, std::string* out) {
    const auto size = static_cast<int64_t>(bytes ? s.size() : count_characters(s));
    if (pos > size || pos < -size) return false;
    const int64_t begin = pos < 0 ? size + pos : pos;
    const int64_t count = len < 0 || len > size - begin ? size - begin : len;
    if (bytes) {
      out->assign(s, static_cast<size_t>(begin), static_cast<size_t>(count));
    } else {
      const size_t from = character_offset(s, static_cast<size_t>(begin));
      const std::string_view rest = std::string_view(s).substr(from);
      out->assign(rest.substr(0, character_offset(rest, static_cast<size_t>(count))));
    }
    return true;
  }
};

// ---- Case and space

// Without encoding only ASCII letters change; with "utf-8" all that have another case of their own.
template <bool upper> class StringCase final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string encoding, init.attr<std::string>("encoding"));
    if (!encoding.empty() && encoding != "utf-8")
      return invalid_argument("only utf-8 or '' (no encoding) is supported, received encoding ", encoding);
    utf8_ = !encoding.empty();
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) out[i] = utf8_ ? change_utf8(in[i]) : change_ascii(in[i]);
    return absl::OkStatus();
  }
  static std::string change_ascii(std::string s) {
    for (char& c : s) {
      if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return s;
  }
  static std::string change_utf8(const std::string& s) {
    static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    std::string out;
    for (size_t i = 0; i < s.size();) {
      const auto lead = static_cast<uint8_t>(s[i]);
      const size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
      bool valid = i + length <= s.size() && !(lead >= 0x80 && lead < 0xc0) && lead < 0xf8;
      uint32_t code = length == 1 ? lead : lead & (0xff >> (length + 1));
      for (size_t k = 1; valid && k < length; ++k) {
        valid = is_continuation(s[i + k]);
        code = code << 6 | (static_cast<uint8_t>(s[i + k]) & 0x3f);
      }
      if (!valid || locale == nullptr) {
        out += s[i++];
        continue;
      }
      append_utf8(out, static_cast<uint32_t>(upper ? towupper_l(static_cast<wint_t>(code), locale)
                                                   : towlower_l(static_cast<wint_t>(code), locale)));
      i += length;
    }
    return out;
  }
  static void append_utf8(std::string& out, uint32_t c) {
    if (c < 0x80) {
      out += static_cast<char>(c);
      return;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    out += static_cast<char>((0xff00 >> (more + 1) & 0xff) | (c >> (6 * more)));
    for (int k = more - 1; k >= 0; --k) out += static_cast<char>(0x80 | (c >> (6 * k) & 0x3f));
  }
  bool utf8_ = false;
};

class StringStrip final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) {
      std::string_view s = in[i];
      while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
      while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
      out[i] = s;
    }
    return absl::OkStatus();
  }
};

// ---- ReduceJoin: one dimension after another, in the order given

class ReduceJoin final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const bool keep_dims, get_attr<bool>(ctx.node(), "keep_dims"));
    MR_ASSIGN_OR_RETURN(const std::string separator, get_attr<std::string>(ctx.node(), "separator"));
    std::vector<int64_t> dims(ctx.shape(0).dims().begin(), ctx.shape(0).dims().end());
    std::vector<bool> reduced(dims.size(), false);
    std::vector<std::string> strings(in.begin(), in.end());
    for (const int64_t given : axes) {
      const auto rank = static_cast<int64_t>(dims.size());
      if (given < -rank || given >= rank)
        return out_of_range("Invalid reduction dimension ", given, " for input with ", rank, " dimension(s)");
      const auto axis = static_cast<size_t>(given < 0 ? given + rank : given);
      if (reduced[axis]) return invalid_argument("Duplicate reduction dimension ", given);
      reduced[axis] = true;
      strings = join_axis(strings, dims, axis, separator);
      dims[axis] = 1;
    }
    std::vector<int64_t> left;
    for (size_t d = 0; d < dims.size(); ++d)
      if (keep_dims || !reduced[d]) left.push_back(dims[d]);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(left));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, shape));
    std::move(strings.begin(), strings.end(), out.begin());
    return absl::OkStatus();
  }

  static std::vector<std::string> join_axis(std::vector<std::string>& in, const std::vector<int64_t>& dims, size_t axis,
                                            const std::string& separator) {
    size_t outer = 1, inner = 1;
    for (size_t d = 0; d < axis; ++d) outer *= static_cast<size_t>(dims[d]);
    for (size_t d = axis + 1; d < dims.size(); ++d) inner *= static_cast<size_t>(dims[d]);
    const auto n = static_cast<size_t>(dims[axis]);
    std::vector<std::string> out(outer * inner);
    for (size_t o = 0; o < outer; ++o) {
      for (size_t i = 0; i < inner; ++i) {
        std::string& joined = out[o * inner + i];
        for (size_t k = 0; k < n; ++k) {
          if (k > 0) joined += separator;
          joined += in[(o * n + k) * inner + i];
        }
      }
    }
    return out;
  }
};

absl::Status string_join_shape(ShapeContext& c) {
  PartialTensorShape out = PartialTensorShape::scalar();
  bool all_scalar = true;
  for (int i = 0; i < c.num_inputs(); ++i) {
    if (!c.input(i).has_rank()) return c.set_output(0, PartialTensorShape());
    if (c.input(i).rank() == 0) continue;
    if (all_scalar) {
      out = c.input(i);
    } else {
      MR_ASSIGN_OR_RETURN(out, merge(out, c.input(i)));
    }
    all_scalar = false;
  }
  return c.set_output(0, out);
}

absl::Status split_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  MR_RETURN_IF_ERROR(c.set_output(0, PartialTensorShape({-1, 2})));
  MR_RETURN_IF_ERROR(c.set_output(1, PartialTensorShape({-1})));
  return c.set_output(2, PartialTensorShape({2}));
}

absl::Status substr_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(merge(c.input(1), c.input(2)).status());
  return c.set_output(0, broadcast(c.input(0), c.input(1)));
}

absl::Status reduce_join_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const std::optional<std::vector<int64_t>> axes, c.int_values(1));
  MR_ASSIGN_OR_RETURN(const bool keep_dims, c.attr<bool>("keep_dims"));
  if (!axes || !c.input(0).has_rank()) return c.set_output(0, PartialTensorShape());
  std::vector<int64_t> dims(c.input(0).dims().begin(), c.input(0).dims().end()), left;
  const auto rank = static_cast<int64_t>(dims.size());
  std::vector<bool> reduced(dims.size(), false);
  for (const int64_t axis : *axes) {
    if (axis < -rank || axis >= rank)
      return invalid_argument("Invalid reduction dimension ", axis, " for input with ", rank, " dimension(s)");
    reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  for (size_t d = 0; d < dims.size(); ++d) {
    if (!reduced[d]) left.push_back(dims[d]);
    else if (keep_dims) left.push_back(1);
  }
  return c.set_output(0, make_partial_shape(left));
}

}  // namespace

void register_string_ops(Registry& registry) {
  registry.op("StringJoin")
      .input("inputs: N * string")
      .output("output: string")
      .attr("N: int >= 0")
      .attr("separator: string = ''")
      .shape(string_join_shape)
      .cpu<StringJoin>()
      .not_differentiable()
      .doc("Strings at equal places joined by the separator.");
  registry.op("StringSplit")
      .input("input: string")
      .input("delimiter: string")
      .output("indices: int64")
      .output("values: string")
      .output("shape: int64")
      .attr("skip_empty: bool = true")
      .shape(split_shape)
      .cpu<StringSplit>()
      .not_differentiable()
      .doc("Strings split at any byte of the delimiter, as a sparse tensor.");
  registry.op("StringSplitV2")
      .input("input: string")
      .input("sep: string")
      .output("indices: int64")
      .output("values: string")
      .output("shape: int64")
      .attr("maxsplit: int = -1")
      .shape(split_shape)
      .cpu<StringSplitV2>()
      .not_differentiable()
      .doc("Strings split at the separator, as a sparse tensor.");
  registry.op("Substr")
      .input("input: string")
      .input("pos: T")
      .input("len: T")
      .output("output: string")
      .attr("T: {int32, int64}")
      .attr("unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'")
      .shape(substr_shape)
      .cpu_for<Substr>(Types<int32_t, int64_t>())
      .not_differentiable()
      .doc("len characters of each string from pos.");
  registry.op("StringLength")
      .input("input: string")
      .output("output: int32")
      .attr("unit: {'BYTE', 'UTF8_CHAR'} = 'BYTE'")
      .shape(unchanged_shape)
      .cpu<StringLength>()
      .not_differentiable()
      .doc("Lengths in bytes or characters.");
  registry.op("StringLower")
      .input("input: string")
      .output("output: string")
      .attr("encoding: string = ''")
      .shape(unchanged_shape)
      .cpu<StringCase<false>>()
      .not_differentiable()
      .doc("Strings in lower case.");
  registry.op("StringUpper")
      .input("input: string")
      .output("output: string")
      .attr("encoding: string = ''")
      .shape(unchanged_shape)
      .cpu<StringCase<true>>()
      .not_differentiable()
      .doc("Strings in upper case.");
  registry.op("StringStrip")
      .input("input: string")
      .output("output: string")
      .shape(unchanged_shape)
      .cpu<StringStrip>()
      .not_differentiable()
      .doc("Strings without white space around them.");
  registry.op("ReduceJoin")
      .input("inputs: string")
      .input("reduction_indices: int32")
      .output("output: string")
      .attr("keep_dims: bool = false")
      .attr("separator: string = ''")
      .shape(reduce_join_shape)
      .cpu<ReduceJoin>()
      .not_differentiable()
      .doc("Strings joined along dimensions.");
}

}  // namespace millrace
