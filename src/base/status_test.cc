#include "base/status.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

absl::StatusOr<int> half(int n) {
  if (n % 2) return invalid_argument("half: ", n, " is odd");
  return n / 2;
}

absl::StatusOr<int> quarter(int n) {
  MR_ASSIGN_OR_RETURN(const int h, half(n));
  MR_RETURN_IF_ERROR(half(h).status());
  return h / 2;
}

TEST(Status, MacrosReturnTheFirstError) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(7).status(), absl::InvalidArgumentError("half: 7 is odd"));
  EXPECT_EQ(quarter(6).status(), absl::InvalidArgumentError("half: 3 is odd"));
}

TEST(Status, AnnotateKeepsCodeAndPayload) {
  absl::Status status = data_loss("bad crc");
  status.SetPayload("url", absl::Cord("x"));
  const absl::Status annotated = annotate(status, "file");
  EXPECT_EQ(annotated.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(annotated.message(), "file: bad crc");
  EXPECT_TRUE(annotated.GetPayload("url").has_value());
  EXPECT_TRUE(annotate(absl::OkStatus(), "file").ok());
}

}  // namespace
}  // namespace millrace
