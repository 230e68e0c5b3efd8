#include "op/op_def.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

std::string_view strip(std::string_view s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front()))) s.remove_prefix(1);
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back()))) s.remove_suffix(1);
  return s;
}

// Splits at commas that stand outside quotes, brackets and braces.
std::vector<std::string_view> split_list(std::string_view s) {
  std::vector<std::string_view> items;
  int depth = 0;
  char quote = 0;
  size_t begin = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    if (quote) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '[' || c == '{' || c == '(') {
      ++depth;
    } else if (c == ']' || c == '}' || c == ')') {
      --depth;
    } else if (c == ',' && depth == 0) {
      items.push_back(strip(s.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (const std::string_view last = strip(s.substr(begin)); !last.empty()) items.push_back(last);
  return items;
}

DataType parse_dtype(std::string_view s) {
  if (s.starts_with("DT_")) {
    std::string lower(s.substr(3));
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return dtype_from_name(lower);
  }
  return dtype_from_name(s);
}

const std::vector<DataType>& dtypes_of_group(std::string_view group) {
  using enum DataType;
  static const std::vector<DataType> real = {kFloat, kDouble,   kInt32,  kUint8, kInt16,  kInt8,
                                             kInt64, kBfloat16, kUint16, kHalf,  kUint32, kUint64};
  static const std::vector<DataType> number = {kFloat,  kDouble,     kInt32,  kUint8,  kInt16,    kInt8,   kComplex64,
                                               kInt64,  kQint8,      kQuint8, kQint32, kBfloat16, kQint16, kQuint16,
                                               kUint16, kComplex128, kHalf,   kUint32, kUint64};
  static const std::vector<DataType> quantized = {kQint8, kQuint8, kQint32, kQint16, kQuint16};
  static const std::vector<DataType> none;
  if (group == "realnumbertype") return real;
  if (group == "numbertype") return number;
  if (group == "quantizedtype") return quantized;
  return none;
}

std::string unquote(std::string_view s) {
  s = strip(s);
  if (s.size() >= 2 && (s.front() == '\'' || s.front() == '"') && s.back() == s.front()) s = s.substr(1, s.size() - 2);
  std::string text;
  return absl::CUnescape(to_absl(s), &text) ? text : std::string(s);
}

absl::StatusOr<PartialTensorShape> parse_shape_literal(std::string_view s) {
  // { unknown_rank: true }   { dim { size: 2 } dim { size: -1 } }   []
  if (s.find("unknown_rank") != std::string_view::npos) return PartialTensorShape();
  std::vector<int64_t> dims;
  for (size_t at = s.find("size:"); at != std::string_view::npos; at = s.find("size:", at + 1)) {
    const std::string_view rest = strip(s.substr(at + 5));
    int64_t value = 0;
    const size_t end = rest.find_first_not_of("-0123456789");
    if (!absl::SimpleAtoi(to_absl(rest.substr(0, end)), &value)) return invalid_argument("bad shape literal ", s);
    dims.push_back(value);
  }
  return make_partial_shape(dims);
}

// A vector of bytes: "uint8 [255, 0, 0, 255]". No op has needed more.
absl::StatusOr<AttrValue> parse_tensor_literal(std::string_view s) {
  constexpr std::string_view kType = "uint8 [";
  if (!s.starts_with(kType) || !s.ends_with("]")) return invalid_argument("bad tensor literal ", s);
  std::vector<uint8_t> values;
  for (const std::string_view item : split_list(s.substr(kType.size(), s.size() - kType.size() - 1))) {
    int value = 0;
    if (!absl::SimpleAtoi(to_absl(item), &value) || value < 0 || value > 255)
      return invalid_argument("bad tensor literal ", s);
    values.push_back(static_cast<uint8_t>(value));
  }
  return AttrValue(Tensor(values));
}

absl::StatusOr<AttrValue> parse_scalar_value(std::string_view type, std::string_view text) {
  const std::string_view s = strip(text);
  if (type == "int") {
    int64_t v = 0;
    if (absl::SimpleAtoi(to_absl(s), &v)) return AttrValue(v);
  } else if (type == "float") {
    float v = 0;
    if (absl::SimpleAtof(to_absl(s), &v)) return AttrValue(v);
  } else if (type == "bool") {
    if (s == "true" || s == "false") return AttrValue(s == "true");
  } else if (type == "string") {
    return AttrValue(unquote(s));
  } else if (type == "type") {
    if (const DataType d = parse_dtype(s); d != DataType::kInvalid) return AttrValue(d);
  } else if (type == "shape") {
    MR_ASSIGN_OR_RETURN(PartialTensorShape shape, parse_shape_literal(s));
    return AttrValue(std::move(shape));
  } else if (type == "tensor") {
    return parse_tensor_literal(s);
  } else if (type == "func") {
    return AttrValue(FunctionRef(unquote(s)));
  }
  return invalid_argument("bad default '", s, "' for an attr of type ", type);
}

template <class T>
absl::StatusOr<AttrValue> parse_list(std::string_view type, const std::vector<std::string_view>& items) {
  std::vector<T> values;
  for (const std::string_view item : items) {
    MR_ASSIGN_OR_RETURN(const AttrValue v, parse_scalar_value(type, item));
    values.push_back(*v.get<T>());
  }
  return AttrValue(std::move(values));
}

absl::StatusOr<AttrValue> parse_default(std::string_view type, std::string_view text) {
  if (!type.starts_with("list(")) return parse_scalar_value(type, text);
  const std::string_view element = type.substr(5, type.size() - 6);
  std::string_view s = strip(text);
  if (s.size() < 2 || s.front() != '[' || s.back() != ']') return invalid_argument("bad list default '", s, "'");
  const std::vector<std::string_view> items = split_list(s.substr(1, s.size() - 2));
  if (element == "int") return parse_list<int64_t>(element, items);
  if (element == "float") return parse_list<float>(element, items);
  if (element == "bool") return parse_list<bool>(element, items);
  if (element == "string") return parse_list<std::string>(element, items);
  if (element == "type") return parse_list<DataType>(element, items);
  if (element == "shape") return parse_list<PartialTensorShape>(element, items);
  return invalid_argument("list default of type ", type);
}

// The set in braces: strings if quoted, else types and groups of types.
absl::Status parse_allowed(std::string_view set, AttrDef* def) {
  for (const std::string_view item : split_list(set)) {
    if (item.front() == '\'' || item.front() == '"') {
      def->type = "string";
      def->allowed_strings.push_back(unquote(item));
      continue;
    }
    def->type = "type";
    if (const auto& group = dtypes_of_group(item); !group.empty()) {
      def->allowed_types.insert(def->allowed_types.end(), group.begin(), group.end());
    } else if (const DataType d = parse_dtype(item); d != DataType::kInvalid) {
      def->allowed_types.push_back(d);
    } else {
      return invalid_argument("unknown type '", item, "' in an attr's allowed set");
    }
  }
  return absl::OkStatus();
}

template <class T> bool holds(const AttrValue& v) { return v.get<T>() != nullptr; }

bool has_type(const AttrValue& v, std::string_view type) {
  if (std::holds_alternative<AttrPlaceholder>(v.value())) return true;
  if (type == "int") return holds<int64_t>(v);
  if (type == "float") return holds<float>(v);
  if (type == "bool") return holds<bool>(v);
  if (type == "string") return holds<std::string>(v);
  if (type == "type") return holds<DataType>(v);
  if (type == "shape") return holds<PartialTensorShape>(v);
  if (type == "tensor") return holds<Tensor>(v);
  if (type == "func") return holds<FunctionRef>(v);
  if (type == "list(int)") return holds<std::vector<int64_t>>(v);
  if (type == "list(float)") return holds<std::vector<float>>(v);
  if (type == "list(bool)") return holds<std::vector<bool>>(v);
  if (type == "list(string)") return holds<std::vector<std::string>>(v);
  if (type == "list(type)") return holds<std::vector<DataType>>(v);
  if (type == "list(shape)") return holds<std::vector<PartialTensorShape>>(v);
  if (type == "list(tensor)") return holds<std::vector<Tensor>>(v);
  if (type == "list(func)") return holds<std::vector<FunctionRef>>(v);
  return false;
}

int64_t list_length(const AttrValue& v) {
  return std::visit(
      [](const auto& x) -> int64_t {
        if constexpr (requires { x.size(); } && !std::is_same_v<std::remove_cvref_t<decltype(x)>, std::string>) {
          return static_cast<int64_t>(x.size());
        } else {
          return 0;
        }
      },
      v.value());
}

absl::Status check_type_allowed(const AttrDef& def, DataType type) {
  if (!is_valid_dtype(type)) return invalid_argument("attr '", def.name, "' is not a type: ", dtype_name(type));
  if (def.allowed_types.empty() || std::ranges::find(def.allowed_types, type) != def.allowed_types.end())
    return absl::OkStatus();
  std::string allowed;
  for (const DataType d : def.allowed_types) str_append(&allowed, allowed.empty() ? "" : ", ", dtype_name(d));
  return invalid_argument("Value for attr '", def.name, "' of ", dtype_name(type),
                          " is not in the list of allowed values: ", allowed);
}

absl::Status check_string_allowed(const AttrDef& def, const std::string& value) {
  if (def.allowed_strings.empty() || std::ranges::find(def.allowed_strings, value) != def.allowed_strings.end())
    return absl::OkStatus();
  std::string allowed;
  for (const std::string& s : def.allowed_strings) str_append(&allowed, allowed.empty() ? "\"" : ", \"", s, "\"");
  return invalid_argument("Value for attr '", def.name, "' of \"", value,
                          "\" is not in the list of allowed values: ", allowed);
}

absl::Status check_attr(const AttrDef& def, const AttrValue& value) {
  if (!has_type(value, def.type)) {
    return invalid_argument("attr '", def.name, "' must be of type ", def.type, ", got ", value.to_string());
  }
  if (std::holds_alternative<AttrPlaceholder>(value.value())) return absl::OkStatus();
  if (const auto* type = value.get<DataType>()) MR_RETURN_IF_ERROR(check_type_allowed(def, *type));
  if (const auto* text = value.get<std::string>()) MR_RETURN_IF_ERROR(check_string_allowed(def, *text));
  if (def.type == "list(type)") {
    for (const DataType type : *value.get<std::vector<DataType>>()) MR_RETURN_IF_ERROR(check_type_allowed(def, type));
  }
  if (def.type == "list(string)") {
    for (const std::string& text : *value.get<std::vector<std::string>>())
      MR_RETURN_IF_ERROR(check_string_allowed(def, text));
  }
  if (def.minimum) {
    const bool is_list = def.type.starts_with("list(");
    const int64_t n = is_list ? list_length(value) : *value.get<int64_t>();
    if (n < *def.minimum) {
      return invalid_argument(is_list ? "Length for attr '" : "Value for attr '", def.name, "' of ", n,
                              " must be at least minimum ", *def.minimum);
    }
  }
  return absl::OkStatus();
}

// Appends the dtypes of one argument. Counts come from attributes, which a file may have supplied: they are bounded.
absl::Status append_arg(const ArgDef& arg, const AttrMap& attrs, std::vector<DataType>* types) {
  constexpr int64_t kMostTensors = 1 << 20;
  const auto find = [&](const std::string& name) { return attrs.find(name); };
  const auto add = [&](DataType type) { types->push_back(arg.is_ref ? ref_dtype(type) : type); };
  if (!arg.type_list_attr.empty()) {
    const auto it = find(arg.type_list_attr);
    const auto* list = it == attrs.end() ? nullptr : it->second.get<std::vector<DataType>>();
    if (list == nullptr)
      return invalid_argument("argument '", arg.name, "' needs the list of types '", arg.type_list_attr, "'");
    for (const DataType type : *list) add(type);
    return absl::OkStatus();
  }
  int64_t count = 1;
  if (!arg.number_attr.empty()) {
    const auto it = find(arg.number_attr);
    const auto* n = it == attrs.end() ? nullptr : it->second.get<int64_t>();
    if (n == nullptr || *n < 0)
      return invalid_argument("argument '", arg.name, "' needs a count in attr '", arg.number_attr, "'");
    if (*n > kMostTensors)
      return invalid_argument("argument '", arg.name, "' of ", *n, " tensors (attr '", arg.number_attr,
                              "'): there can be at most ", kMostTensors);
    count = *n;
  }
  DataType type = arg.type;
  if (!arg.type_attr.empty()) {
    const auto it = find(arg.type_attr);
    const auto* t = it == attrs.end() ? nullptr : it->second.get<DataType>();
    if (t == nullptr) return invalid_argument("argument '", arg.name, "' needs a type in attr '", arg.type_attr, "'");
    type = *t;
  }
  for (int64_t i = 0; i < count; ++i) add(type);
  return absl::OkStatus();
}

}  // namespace

const AttrDef* OpDef::find_attr(std::string_view attr) const {
  const auto it = std::ranges::find(attrs, attr, &AttrDef::name);
  return it == attrs.end() ? nullptr : &*it;
}

int OpDef::input_index(std::string_view arg) const {
  const auto it = std::ranges::find(inputs, arg, &ArgDef::name);
  return it == inputs.end() ? -1 : static_cast<int>(it - inputs.begin());
}

int OpDef::output_index(std::string_view arg) const {
  const auto it = std::ranges::find(outputs, arg, &ArgDef::name);
  return it == outputs.end() ? -1 : static_cast<int>(it - outputs.begin());
}

absl::StatusOr<ArgTypes> resolve_args(const std::vector<ArgDef>& args, const AttrMap& attrs) {
  ArgTypes result;
  result.begin.push_back(0);
  for (const ArgDef& arg : args) {
    MR_RETURN_IF_ERROR(append_arg(arg, attrs, &result.types));
    result.begin.push_back(static_cast<int>(result.types.size()));
  }
  return result;
}

absl::Status check_and_complete_attrs(const OpDef& def, AttrMap* attrs) {
  for (const AttrDef& attr : def.attrs) {
    const auto it = attrs->find(attr.name);
    if (it == attrs->end()) {
      if (!attr.default_value)
        return invalid_argument("Op ", def.name, " needs attr '", attr.name, "' (", attr.type, ")");
      attrs->emplace(attr.name, *attr.default_value);
    } else {
      if (absl::Status s = check_attr(attr, it->second); !s.ok()) return annotate(s, def.name);
    }
  }
  for (const auto& [name, value] : *attrs) {
    if (!name.starts_with("_") && def.find_attr(name) == nullptr) {
      return invalid_argument("NodeDef mentions attr '", name, "' not in Op ", def.name);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AttrDef> parse_attr(std::string_view spec) {
  AttrDef def;
  const size_t colon = spec.find(':');
  if (colon == std::string_view::npos) return invalid_argument("attr spec '", spec, "' has no ':'");
  def.name = strip(spec.substr(0, colon));
  std::string_view rest = strip(spec.substr(colon + 1));

  const auto parse_type = [&](std::string_view* s) -> absl::Status {
    if (s->starts_with("{")) {
      const size_t close = s->find('}');
      if (close == std::string_view::npos) return invalid_argument("attr spec '", spec, "' has no '}'");
      MR_RETURN_IF_ERROR(parse_allowed(s->substr(1, close - 1), &def));
      *s = strip(s->substr(close + 1));
      return absl::OkStatus();
    }
    size_t end = 0;
    while (end < s->size() && std::isalpha(static_cast<unsigned char>((*s)[end]))) ++end;
    def.type = s->substr(0, end);
    if (const auto& group = dtypes_of_group(def.type); !group.empty()) {
      def.allowed_types = group;
      def.type = "type";
    }
    *s = strip(s->substr(end));
    return absl::OkStatus();
  };
  if (rest.starts_with("list(")) {
    rest = strip(rest.substr(5));
    MR_RETURN_IF_ERROR(parse_type(&rest));
    if (!rest.starts_with(")")) return invalid_argument("attr spec '", spec, "' has no ')'");
    rest = strip(rest.substr(1));
    def.type = "list(" + def.type + ")";
  } else {
    MR_RETURN_IF_ERROR(parse_type(&rest));
  }
  if (rest.starts_with(">=")) {
    rest = strip(rest.substr(2));
    const size_t end = std::min(rest.find_first_not_of("-0123456789"), rest.size());
    int64_t minimum = 0;
    if (!absl::SimpleAtoi(to_absl(rest.substr(0, end)), &minimum))
      return invalid_argument("attr spec '", spec, "' has a bad minimum");
    def.minimum = minimum;
    rest = strip(rest.substr(end));
  }
  if (rest.starts_with("=")) {
    MR_ASSIGN_OR_RETURN(AttrValue value, parse_default(def.type, rest.substr(1)));
    def.default_value = std::move(value);
  } else if (!rest.empty()) {
    return invalid_argument("attr spec '", spec, "' ends in '", rest, "'");
  }
  return def;
}

absl::StatusOr<ArgDef> parse_arg(std::string_view spec) {
  ArgDef arg;
  const size_t colon = spec.find(':');
  if (colon == std::string_view::npos) return invalid_argument("argument spec '", spec, "' has no ':'");
  arg.name = strip(spec.substr(0, colon));
  std::string_view type = strip(spec.substr(colon + 1));
  if (type.starts_with("Ref(") && type.ends_with(")")) {
    arg.is_ref = true;
    type = strip(type.substr(4, type.size() - 5));
  }
  if (const size_t star = type.find('*'); star != std::string_view::npos) {
    arg.number_attr = strip(type.substr(0, star));
    type = strip(type.substr(star + 1));
  }
  arg.type = parse_dtype(type);
  if (arg.type == DataType::kInvalid)
    arg.type_attr = type;  // the builder turns it into type_list_attr if that attr is a list
  return arg;
}

}  // namespace millrace
