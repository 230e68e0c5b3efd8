#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <limits>

#include "graph/graph_def.h"

namespace millrace {
namespace {

namespace gpb = google::protobuf;

constexpr int kMaxDepth = 100;

class FirstError final : public gpb::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = str_cat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Text is printable; a binary message begins with a tag and a length, and mostly holds bytes below 9.
bool looks_like_text(std::string_view bytes) {
  for (const char c : bytes.substr(0, 256))
    if (static_cast<unsigned char>(c) < 9) return false;
  return !bytes.empty();
}

}  // namespace

absl::Status parse_text_proto(std::string_view text, gpb::Message* message, std::string_view what) {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    return invalid_argument(what, ": too long for a text proto");
  FirstError errors;
  gpb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.SetRecursionLimit(kMaxDepth);
  gpb::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  if (parser.Parse(&input, message)) return absl::OkStatus();
  return invalid_argument(what, ": not a text ", message->GetDescriptor()->name(), ": ", errors.text());
}

absl::Status parse_proto(std::string_view bytes, gpb::Message* message, std::string_view what) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    return data_loss(what, ": larger than a protobuf message may be");
  const gpb::LogSilencer silence;  // protobuf would write its opinion of broken strings to stderr
  gpb::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  input.SetRecursionLimit(kMaxDepth);
  message->Clear();
  if (message->MergeFromCodedStream(&input) && input.ConsumedEntireMessage() &&
      static_cast<size_t>(input.CurrentPosition()) == bytes.size())
    return absl::OkStatus();
  const int position = input.CurrentPosition();
  if (looks_like_text(bytes)) return parse_text_proto(bytes, message, what);
  return data_loss(what, ": not a ", message->GetDescriptor()->name(), ": broken at or before byte ", position, " of ",
                   bytes.size());
}

std::string text_proto(const gpb::Message& message) {
  std::string text;
  gpb::TextFormat::PrintToString(message, &text);
  return text;
}

std::string deterministic_bytes(const gpb::Message& message) {
  std::string bytes;
  {
    gpb::io::StringOutputStream stream(&bytes);
    gpb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace millrace
