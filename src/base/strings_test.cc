#include "base/strings.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

struct Shape {
  std::string to_string() const { return "[2,3]"; }
};
enum class Color { kRed };
std::string to_string(Color) { return "red"; }

TEST(Strings, CatTakesViewsNumbersAndWhatHasText) {
  const std::string_view view = "view";
  const std::string owned = "owned";
  EXPECT_EQ(str_cat(view, " ", owned, " ", 7, " ", 1.5, " ", Shape{}, " ", Color::kRed), "view owned 7 1.5 [2,3] red");
  EXPECT_EQ(str_cat(), "");
  std::string out = "a";
  str_append(&out, view, 2);
  EXPECT_EQ(out, "aview2");
}

TEST(Strings, ViewsConvert) {
  EXPECT_EQ(to_std(to_absl("abc")), "abc");
  EXPECT_EQ(to_absl(std::string_view("abc")), "abc");
}

}  // namespace
}  // namespace millrace
