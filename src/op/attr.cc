#include "millrace/attr.h"

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

bool equal(const std::shared_ptr<const AttrMap>& a, const std::shared_ptr<const AttrMap>& b) {
  static const AttrMap empty;
  return (a ? *a : empty) == (b ? *b : empty);
}

constexpr size_t kShownItems = 8, kShownBytes = 64;

std::string show(std::monostate) { return "<none>"; }
std::string show(const std::string& v) {
  return str_cat("\"", absl::CEscape(v.substr(0, kShownBytes)), v.size() > kShownBytes ? "...\"" : "\"");
}
std::string show(int64_t v) { return std::to_string(v); }
std::string show(float v) { return str_cat(v); }
std::string show(bool v) { return v ? "true" : "false"; }
std::string show(DataType v) { return dtype_name(v); }
std::string show(const PartialTensorShape& v) { return v.to_string(); }
std::string show(const Tensor& v) {
  return str_cat("Tensor<type: ", dtype_name(v.dtype()), " shape: ", v.shape(), ">");
}
std::string show(const FunctionRef& v) { return v.name; }
std::string show(const AttrPlaceholder& v) { return "$" + v.name; }
std::string show(const EmptyList&) { return "[]"; }
template <class T> std::string show(const std::vector<T>& v) {
  std::string out = "[";
  for (size_t i = 0; i < v.size() && i < kShownItems; ++i)
    str_append(&out, i ? ", " : "", show(static_cast<const T&>(v[i])));
  return out + (v.size() > kShownItems ? ", ...]" : "]");
}

bool same(const Tensor& a, const Tensor& b) { return bitwise_equal(a, b); }
bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return bitwise_equal(x, y); });
}
template <class T> bool same(const T& a, const T& b) { return a == b; }

}  // namespace

FunctionRef::FunctionRef(std::string n, AttrMap a)
    : name(std::move(n)), attrs(a.empty() ? nullptr : std::make_shared<const AttrMap>(std::move(a))) {}

bool operator==(const FunctionRef& a, const FunctionRef& b) { return a.name == b.name && equal(a.attrs, b.attrs); }

std::string AttrValue::to_string() const {
  return std::visit([](const auto& v) { return show(v); }, value_);
}

bool operator==(const AttrValue& a, const AttrValue& b) {
  if (a.value_.index() != b.value_.index()) return false;
  return std::visit(
      [&](const auto& v) {
        using T = std::remove_cvref_t<decltype(v)>;
        return same(v, std::get<T>(b.value_));
      },
      a.value_);
}

}  // namespace millrace
