#include "data/csv.h"

#include "absl/strings/numbers.h"

namespace millrace {
namespace {

template <class T, class Parse>
absl::Status convert_as(const std::string& field, const CsvFormat& format, const Tensor& default_value, size_t f,
                        size_t r, Tensor& out, int64_t index, Parse parse) {
  T& value = out.unchecked_mutable<T>()[static_cast<size_t>(index)];
  if (field.empty() || field == format.na_value) {
    if (default_value.num_elements() != 1)
      return invalid_argument("Field ", f, " is required but missing in record ", r, "!");
    value = default_value.unchecked<T>()[0];
  } else if (!parse(absl::string_view(field), &value)) {
    return invalid_argument("Field ", f, " in record ", r, " is not a valid ", dtype_name(dtype_of<T>), ": ", field);
  }
  return absl::OkStatus();
}

class CsvDataset final : public Dataset, public std::enable_shared_from_this<CsvDataset> {
 public:
  CsvDataset(DatasetPtr records, CsvFormat format, std::vector<Tensor> defaults, ElementSpec spec)
      : Dataset(std::move(spec), {records.get()}),
        records_(std::move(records)),
        format_(std::move(format)),
        defaults_(std::move(defaults)) {}
  std::string_view name() const override { return "CSV"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr records, records_->iterate());
    return std::make_unique<Iterator>(shared_from_this(), std::move(records));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(std::shared_ptr<const CsvDataset> parent, IteratorPtr records)
        : UnaryIterator(std::move(records)), parent_(std::move(parent)) {}
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      Element record;
      do {
        MR_RETURN_IF_ERROR(input_->get_next(ctx, &record, end));
        if (*end) return absl::OkStatus();
      } while (record[0].unchecked<std::string>()[0].empty());
      ++record_number_;
      const CsvDataset& csv = *parent_;
      std::vector<std::string> fields;
      MR_RETURN_IF_ERROR(split_csv_record(record[0].unchecked<std::string>()[0], csv.format_, &fields));
      if (fields.size() != csv.defaults_.size())
        return invalid_argument("Expect ", csv.defaults_.size(), " fields but have ", fields.size(), " in record");
      element->clear();
      for (size_t f = 0; f < fields.size(); ++f) {
        MR_ASSIGN_OR_RETURN(Tensor value, make_tensor(csv.spec().types[f], TensorShape()));
        MR_RETURN_IF_ERROR(
            convert_csv_field(fields[f], csv.format_, csv.defaults_[f], f, record_number_ - 1, value, 0));
        element->push_back(std::move(value));
      }
      return absl::OkStatus();
    }
    absl::Status save(StateWriter writer) override {
      writer.put("record", static_cast<int64_t>(record_number_));
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t record, reader.get_bounded("record", INT64_MAX));
      record_number_ = static_cast<size_t>(record);
      return restore_input(ctx, reader);
    }

   private:
    std::shared_ptr<const CsvDataset> parent_;
    size_t record_number_ = 0;
  };
  DatasetPtr records_;
  CsvFormat format_;
  std::vector<Tensor> defaults_;
};

}  // namespace

absl::Status split_csv_record(const std::string& record, const CsvFormat& format, std::vector<std::string>* fields) {
  fields->clear();
  int64_t number = 0;
  const auto add = [&](std::string field) {
    const size_t next = fields->size();
    if (format.columns.empty() || (next < format.columns.size() && format.columns[next] == number))
      fields->push_back(std::move(field));
    ++number;
  };
  const size_t n = record.size();
  size_t i = 0;
  while (i < n) {
    if (record[i] == '\n' || record[i] == '\r') {
      ++i;
      continue;
    }
    std::string field;
    if (format.use_quotes && record[i] == '"') {
      for (++i; i + 1 < n && (record[i] != '"' || record[i + 1] != format.delimiter);) {
        if (record[i] != '"') {
          field += record[i++];
        } else {
          if (record[i + 1] != '"') return invalid_argument("Quote inside a string has to be escaped by another quote");
          field += '"';
          i += 2;
        }
      }
      if (i >= n || record[i] != '"' || !(i + 1 == n || record[i + 1] == format.delimiter))
        return invalid_argument("Quoted field has to end with quote followed by delim or end");
      i += 2;
    } else {
      for (; i < n && record[i] != format.delimiter; ++i) {
        if ((format.use_quotes && record[i] == '"') || record[i] == '\n' || record[i] == '\r')
          return invalid_argument("Unquoted fields cannot have quotes/CRLFs inside");
        field += record[i];
      }
      ++i;
    }
    add(std::move(field));
  }
  if (n > 0 && record.back() == format.delimiter) add({});
  return absl::OkStatus();
}

absl::Status convert_csv_field(std::string& field, const CsvFormat& format, const Tensor& default_value, size_t f,
                               size_t r, Tensor& out, int64_t index) {
  const auto convert = [&]<class T>(auto parse) {
    return convert_as<T>(field, format, default_value, f, r, out, index, parse);
  };
  switch (out.dtype()) {
    case DataType::kInt32:
      return convert.operator()<int32_t>([](auto s, int32_t* v) { return absl::SimpleAtoi(s, v); });
    case DataType::kInt64:
      return convert.operator()<int64_t>([](auto s, int64_t* v) { return absl::SimpleAtoi(s, v); });
    case DataType::kFloat: return convert.operator()<float>([](auto s, float* v) { return absl::SimpleAtof(s, v); });
    case DataType::kDouble: return convert.operator()<double>([](auto s, double* v) { return absl::SimpleAtod(s, v); });
    case DataType::kString:
      return convert.operator()<std::string>([&](auto, std::string* v) {
        *v = std::move(field);
        return true;
      });
    default: return unimplemented("csv: data type ", dtype_name(out.dtype()), " not supported in field ", f);
  }
}

DatasetPtr csv_dataset(FileOptions files, bool header, CsvFormat format, std::vector<Tensor> defaults,
                       ElementSpec spec) {
  DatasetPtr records = text_record_dataset(std::move(files), {.quotes = format.use_quotes, .header = header});
  return std::make_shared<CsvDataset>(std::move(records), std::move(format), std::move(defaults), std::move(spec));
}

}  // namespace millrace
