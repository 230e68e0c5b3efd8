#include "millrace/summary.h"

#include "api/op_builder.h"
#include "base/log.h"

namespace millrace::summary {
namespace {

// Characters that a scope's name may not have become "_", as TF1 does with a note.
std::string clean_tag(const std::string& name) {
  std::string cleaned;
  for (const char c : name)
    cleaned += std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '/' || c == '_' || c == '.' ? c : '_';
  cleaned.erase(0, cleaned.find_first_not_of('/'));
  if (cleaned != name) log_info("Summary name ", name, " is illegal; using ", cleaned, " instead.");
  return cleaned;
}

std::string strip_slash(std::string_view scope) {
  return std::string(scope.ends_with('/') ? scope.substr(0, scope.size() - 1) : scope);
}

// The scope of a summary and its tag.
struct SummaryScope {
  SummaryScope(const std::string& name, const SummaryOptions& o)
      : family(clean_tag(o.family)),
        scope(family.empty() ? clean_tag(name) : family + "/" + clean_tag(name)),
        tag(family.empty() ? strip_slash(scope.name()) : family + "/" + strip_slash(scope.name())) {}
  std::string family;
  name_scope scope;
  std::string tag;
};

Output collected(const Output& summary, const SummaryOptions& o) {
  for (const std::string& key : o.collections.value_or(std::vector<std::string>{GraphKeys::SUMMARIES}))
    add_to_collection(key, summary);
  return summary;
}

// SummaryMetadata { plugin_data { plugin_name: "text" } }
constexpr std::string_view kTextMetadata = "\n\x06\n\x04text";

}  // namespace

Output scalar(const std::string& name, const Input& tensor, const SummaryOptions& o) {
  const SourceScope source(tensor);
  const SummaryScope s(name, o);
  return collected(create_output("ScalarSummary", {Tensor(s.tag), tensor}, {}, s.scope.name()), o);
}

Output histogram(const std::string& name, const Input& values, const SummaryOptions& o) {
  const SourceScope source(values);
  const SummaryScope s(name, o);
  return collected(create_output("HistogramSummary", {Tensor(s.tag), values}, {}, s.scope.name()), o);
}

Output image(const std::string& name, const Input& tensor, const ImageOptions& o) {
  const SourceScope source(tensor);
  const SummaryOptions common{.collections = o.collections, .family = o.family};
  const SummaryScope s(name, common);
  return collected(
      create_output("ImageSummary", {Tensor(s.tag), tensor}, {{"max_images", int64_t{o.max_outputs}}}, s.scope.name()),
      common);
}

Output audio(const std::string& name, const Input& tensor, const Input& sample_rate, const AudioOptions& o) {
  const SourceScope source(tensor);
  const SummaryOptions common{.collections = o.collections, .family = o.family};
  const SummaryScope s(name, common);
  const Output rate = convert_to_tensor(sample_rate, DataType::kFloat, "sample_rate");
  return collected(create_output("AudioSummaryV2", {Tensor(s.tag), tensor, rate},
                                 {{"max_outputs", int64_t{o.max_outputs}}}, s.scope.name()),
                   common);
}

Output text(const std::string& name, const Input& tensor, const SummaryOptions& o) {
  const SourceScope source(tensor);
  const Output strings = convert_to_tensor(tensor);
  if (base_dtype(strings.dtype()) != string)
    raise(invalid_argument("Expected tensor ", strings.name(), " to have dtype string, got ",
                           dtype_name(strings.dtype())));
  const SummaryScope s(name, o);
  return collected(create_output("TensorSummaryV2", {Tensor(s.tag), strings, Tensor(std::string(kTextMetadata))}, {},
                                 s.scope.name()),
                   o);
}

Output merge(const std::vector<Output>& inputs, const MergeOptions& o) {
  if (inputs.empty()) raise(invalid_argument("summary::merge: there is nothing to merge"));
  const name_scope scope(o.name.empty() ? "Merge" : o.name);
  const Output merged = create_output("MergeSummary", {inputs}, {}, o.name);
  for (const std::string& key : o.collections) add_to_collection(key, merged);
  return merged;
}

Output merge_all(std::string_view key, std::string_view scope, std::string_view name) {
  const std::vector<Output> all = get_collection<Output>(key, scope);
  return all.empty() ? Output() : merge(all, {.name = std::string(name)});
}

}  // namespace millrace::summary
