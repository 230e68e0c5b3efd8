#include "checkpoint/tensor_slice.h"

#include <algorithm>
#include <charconv>

#include "tensor/shape.h"

namespace millrace {
namespace {

bool parse_number(std::string_view text, int64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

// Calls `part` with each piece between separators until it returns false.
template <class Part> bool for_each_part(std::string_view text, char separator, Part part) {
  while (true) {
    const size_t at = text.find(separator);
    if (!part(text.substr(0, at))) return false;
    if (at == std::string_view::npos) return true;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

absl::StatusOr<TensorSlice> TensorSlice::parse(std::string_view text) {
  std::vector<Extent> extents;
  if (text.empty()) return TensorSlice();
  const bool good = for_each_part(text, ':', [&](std::string_view part) {
    Extent extent;
    if (part != "-") {
      const size_t comma = part.find(',');
      if (comma == std::string_view::npos || !parse_number(part.substr(0, comma), &extent.start) ||
          !parse_number(part.substr(comma + 1), &extent.length) || extent.length == 0) {
        return false;
      }
    }
    extents.push_back(extent);
    return extents.size() <= Dims::kMaxRank;
  });
  if (!good) {
    return invalid_argument("Expected a pair of numbers or '-' but got '", text.substr(0, 100),
                            "': string = ", text.substr(0, 100));
  }
  return TensorSlice(std::move(extents));
}

bool TensorSlice::is_full() const {
  return std::all_of(extents_.begin(), extents_.end(), [](const Extent& e) { return e.is_full(); });
}

bool TensorSlice::covers(const TensorShape& shape) const {
  if (rank() != shape.rank()) return false;
  for (int i = 0; i < rank(); ++i) {
    if (!extents_[i].is_full() && (extents_[i].start != 0 || extents_[i].length != shape.dim(i))) return false;
  }
  return true;
}

std::string TensorSlice::to_string() const {
  std::string text;
  for (const Extent& extent : extents_) {
    if (!text.empty()) text += ':';
    text += extent.is_full() ? "-" : str_cat(extent.start, ",", extent.length);
  }
  return text;
}

absl::StatusOr<TensorSlice> TensorSlice::resolved(const TensorShape& shape) const {
  if (rank() != shape.rank()) {
    return invalid_argument("Mismatching ranks: shape = ", shape, ", slice = ", to_string());
  }
  std::vector<Extent> extents = extents_;
  for (int i = 0; i < rank(); ++i) {
    Extent& e = extents[i];
    if (e.is_full()) {
      e = {0, shape.dim(i)};
    } else if (e.start < 0 || e.length < 0 || e.start > shape.dim(i) || e.length > shape.dim(i) - e.start) {
      return invalid_argument("Extent in dimension ", i, " out of bounds: shape = ", shape, ", slice = ", to_string());
    }
  }
  return TensorSlice(std::move(extents));
}

TensorShape TensorSlice::shape() const {
  std::vector<int64_t> dims;
  for (const Extent& extent : extents_) dims.push_back(std::max<int64_t>(extent.length, 0));
  // A resolved slice is no larger than the tensor it was resolved against.
  return make_shape(dims).value_or(TensorShape());
}

bool intersect(const TensorSlice& a, const TensorSlice& b, TensorSlice* shared) {
  std::vector<TensorSlice::Extent> extents;
  for (int i = 0; i < a.rank(); ++i) {
    const auto& x = a.extents()[i];
    const auto& y = b.extents()[i];
    const int64_t start = std::max(x.start, y.start);
    const int64_t end = std::min(x.start + x.length, y.start + y.length);
    if (end <= start) return false;
    extents.push_back({start, end - start});
  }
  *shared = TensorSlice(std::move(extents));
  return true;
}

absl::StatusOr<ShapeAndSlice> parse_shape_and_slice(std::string_view text) {
  std::vector<std::string_view> words;
  for_each_part(text, ' ', [&](std::string_view word) {
    if (!word.empty()) words.push_back(word);
    return words.size() <= Dims::kMaxRank + 1;
  });
  if (words.size() < 2) {
    return invalid_argument("Need least two elements in shape_and_slice specification: ", text.substr(0, 100));
  }
  std::vector<int64_t> dims;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    int64_t dim = 0;
    if (!parse_number(words[i], &dim)) {
      return invalid_argument("Non numerical dimension in shape_and_slice: ", text.substr(0, 100));
    }
    dims.push_back(dim);
  }
  ShapeAndSlice result;
  MR_ASSIGN_OR_RETURN(result.shape, make_shape(dims));
  MR_ASSIGN_OR_RETURN(result.slice, TensorSlice::parse(words.back()));
  MR_ASSIGN_OR_RETURN(const TensorSlice resolved, result.slice.resolved(result.shape));
  result.slice_shape = resolved.shape();
  return result;
}

}  // namespace millrace
