// Filling a HashTable: from tensors, or from the lines of a text file.

#include <algorithm>
#include <mutex>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "io/file_system.h"
#include "op/shape_context.h"
#include "ops/lookup_table_ops.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

constexpr int64_t kWholeLine = -2, kLineNumber = -1;

absl::StatusOr<std::shared_ptr<LookupTable>> find_initializable(const KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(const ResourceName name, handle_name(ctx, 0));
  MR_ASSIGN_OR_RETURN(auto table, ctx.resources().lookup<LookupTable>(name.container, name.name));
  if (!table->is_initializable())
    return invalid_argument("Table ", name.container, " ", name.name, " is not initializable");
  return table;
}

class InitializeTable final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_initializable(ctx));
    MR_RETURN_IF_ERROR(check_table_types(ctx, {table->type().key, table->type().value}, {}));
    const TensorShape &keys = ctx.shape(1), &values = ctx.shape(2);
    if (keys.rank() != 1) return invalid_argument("Keys must be a vector, but received shape", keys);
    if (values.rank() != 1) return invalid_argument("Values must be a vector, but received shape", values);
    if (keys != values)
      return invalid_argument("Keys and values must have the same size ", keys.num_elements(), " vs ",
                              values.num_elements());
    return table->import_values(ctx.input(1), ctx.input(2));
  }
};

// --- text files

struct TextColumns {
  int64_t key_index = 0, value_index = 0, vocab_size = -1, offset = 0;
  char delimiter = '\t';
};

absl::Status check_index(const char* what, int64_t index, DataType dtype) {
  if (index == kLineNumber && dtype != DataType::kInt64)
    return invalid_argument(what, " index for line number requires table ",
                            what == std::string_view("Key") ? "key" : "value", " dtype of int64, got ",
                            dtype_name(dtype));
  if (index != kWholeLine || is_integer(dtype) || dtype == DataType::kString) return absl::OkStatus();
  if (what == std::string_view("Key"))
    return invalid_argument("Key index for whole line requires string or integer table key, got ", dtype_name(dtype));
  return invalid_argument("Value index for whole line requires table value dtype of integer or string, got ",
                          dtype_name(dtype));
}

// One column of keys or values, read line by line.
class Column {
 public:
  static absl::StatusOr<Column> make(DataType dtype, int64_t index, int64_t offset, int64_t rows) {
    Column c;
    c.index_ = index;
    c.offset_ = offset;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows}));
    MR_ASSIGN_OR_RETURN(c.values_, make_zeroed_tensor(dtype, shape));
    return c;
  }

  absl::Status set(int64_t row, std::string_view line, std::span<const std::string_view> fields) {
    const auto at = static_cast<size_t>(row);
    if (index_ == kLineNumber) {
      values_.unchecked_mutable<int64_t>()[at] =
          static_cast<int64_t>(static_cast<uint64_t>(row) + static_cast<uint64_t>(offset_));
      return absl::OkStatus();
    }
    const std::string_view text = index_ == kWholeLine ? line : fields[static_cast<size_t>(index_)];
    switch (values_.dtype()) {
      case DataType::kString: values_.unchecked_mutable<std::string>()[at] = text; return absl::OkStatus();
      case DataType::kInt32: return parse<int32_t>(row, text, absl::SimpleAtoi<int32_t>);
      case DataType::kInt64: return parse<int64_t>(row, text, absl::SimpleAtoi<int64_t>);
      case DataType::kFloat: return parse<float>(row, text, absl::SimpleAtof);
      case DataType::kDouble: return parse<double>(row, text, absl::SimpleAtod);
      default: return invalid_argument("Data type ", dtype_name(values_.dtype()), " not supported.");
    }
  }
  const Tensor& values() const { return values_; }

 private:
  template <class T, class Parse> absl::Status parse(int64_t row, std::string_view text, Parse parse) {
    T& value = values_.unchecked_mutable<T>()[static_cast<size_t>(row)];
    if (!parse(absl::string_view(text.data(), text.size()), &value))
      return invalid_argument("Field ", text, " in line ", row, " is not a valid ", dtype_name(dtype_of<T>), ".");
    // TensorFlow adds the offset to these fields, and only to these.
    if constexpr (std::is_same_v<T, int32_t>)
      value = static_cast<int32_t>(static_cast<uint32_t>(value) + static_cast<uint32_t>(offset_));
    return absl::OkStatus();
  }

  int64_t index_ = 0, offset_ = 0;
  Tensor values_;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    if (line.empty()) break;  // an error, whatever follows
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

absl::Status read_columns(const std::string& path, std::span<const std::string_view> lines, const TextColumns& columns,
                          Column* keys, Column* values) {
  const int64_t needed = std::max(columns.key_index, columns.value_index) + 1;
  std::vector<std::string_view> fields;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.empty()) return invalid_argument("Invalid content in ", path, ": empty line found at position ", i, ".");
    if (needed > 0) {
      fields.clear();
      for (const absl::string_view field :
           absl::StrSplit(absl::string_view(line.data(), line.size()), columns.delimiter))
        fields.emplace_back(field.data(), field.size());
      if (static_cast<int64_t>(fields.size()) < needed)
        return invalid_argument("Invalid number of columns in ", path, " line ", i, " (", line,
                                ") : expected at least ", needed, " got ", fields.size());
    }
    MR_RETURN_IF_ERROR(keys->set(static_cast<int64_t>(i), line, fields));
    MR_RETURN_IF_ERROR(values->set(static_cast<int64_t>(i), line, fields));
  }
  return absl::OkStatus();
}

absl::Status initialize_from_file(const std::string& path, const TextColumns& columns, LookupTable& table) {
  MR_RETURN_IF_ERROR(check_index("Key", columns.key_index, table.type().key));
  MR_RETURN_IF_ERROR(check_index("Value", columns.value_index, table.type().value));
  MR_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  std::vector<std::string_view> lines = lines_of(text);
  const auto found = static_cast<int64_t>(lines.size());
  if (columns.vocab_size != -1 && found < columns.vocab_size)
    return invalid_argument("Invalid vocab_size in ", path, ": expected ", columns.vocab_size, " but got ", found);
  if (columns.vocab_size != -1) lines.resize(static_cast<size_t>(columns.vocab_size));
  const auto rows = static_cast<int64_t>(lines.size());
  MR_ASSIGN_OR_RETURN(Column keys, Column::make(table.type().key, columns.key_index, columns.offset, rows));
  MR_ASSIGN_OR_RETURN(Column values, Column::make(table.type().value, columns.value_index, columns.offset, rows));
  MR_RETURN_IF_ERROR(read_columns(path, lines, columns, &keys, &values));
  if (rows == 0) return out_of_range("eof");
  return table.import_values(keys.values(), values.values());
}

class InitializeTableFromTextFile final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(columns_.vocab_size, init.attr<int64_t>("vocab_size"));
    MR_ASSIGN_OR_RETURN(columns_.key_index, init.attr<int64_t>("key_index"));
    MR_ASSIGN_OR_RETURN(columns_.value_index, init.attr<int64_t>("value_index"));
    MR_ASSIGN_OR_RETURN(columns_.offset, init.attr<int64_t>("offset"));
    MR_ASSIGN_OR_RETURN(const std::string delimiter, init.attr<std::string>("delimiter"));
    if (delimiter.size() != 1) return invalid_argument("delimiter should be only 1 char");
    columns_.delimiter = delimiter[0];
    if (std::max(columns_.key_index, columns_.value_index) > (int64_t{1} << 31))
      return invalid_argument("key_index and value_index must be below 2^31");
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_initializable(ctx));
    if (ctx.shape(1).rank() != 0) return invalid_argument("filename should be a single string, but got ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const std::string path, ctx.scalar<std::string>(1));
    if (path.empty()) return invalid_argument("filename cannot be empty.");
    const absl::Status status = initialize_from_file(path, columns_, *table);
    // A table that a file has filled already stays as it is.
    if (absl::IsFailedPrecondition(status) && table->size() > 0) return absl::OkStatus();
    return status;
  }

  TextColumns columns_;
};

absl::Status initialize_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape keys, c.with_rank(1, 1));
  return merge(keys, c.input(2)).status();
}

absl::Status file_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return c.with_rank(1, 0).status();
}

}  // namespace

void register_table_initializer(Registry& registry) {
  for (const bool v2 : {false, true}) {
    const auto initializer = [&](const char* name) {
      OpBuilder builder = registry.op(v2 ? str_cat(name, "V2") : std::string(name))
                              .input(v2 ? "table_handle: resource" : "table_handle: Ref(string)")
                              .not_differentiable();
      return v2 ? builder.stateful() : builder;
    };
    initializer("InitializeTable")
        .input("keys: Tkey")
        .input("values: Tval")
        .attr("Tkey: type")
        .attr("Tval: type")
        .shape(initialize_shape)
        .cpu<InitializeTable>()
        .doc("Fills a HashTable with keys and values.");
    initializer("InitializeTableFromTextFile")
        .input("filename: string")
        .attr("key_index: int >= -2")
        .attr("value_index: int >= -2")
        .attr("vocab_size: int >= -1 = -1")
        .attr("delimiter: string = '\t'")
        .attr("offset: int = 0")
        .shape(file_shape)
        .cpu<InitializeTableFromTextFile>()
        .doc("Fills a HashTable from columns of a text file, line numbers (-1) or whole lines (-2).");
  }
}

}  // namespace millrace
