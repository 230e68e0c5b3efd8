// UnicodeScript: which script a code point belongs to, by the numbers of ICU's UScriptCode.

#include <algorithm>
#include <iterator>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

struct ScriptRange {
  int32_t first;  // up to the next one's
  int16_t script;
};
constexpr ScriptRange kScripts[] = {
#include "ops/unicode_scripts.inc"
};
constexpr int32_t kNoScript = -1, kLastCodePoint = 0x10ffff;

int32_t script_of(int32_t code_point) {
  if (code_point < 0 || code_point > kLastCodePoint) return kNoScript;
  return std::prev(std::ranges::upper_bound(kScripts, code_point, {}, &ScriptRange::first))->script;
}

class UnicodeScript final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto code_points, ctx.flat<int32_t>(0));
    MR_ASSIGN_OR_RETURN(const auto scripts, ctx.output<int32_t>(0, ctx.shape(0)));
    std::ranges::transform(code_points, scripts.begin(), script_of);
    return absl::OkStatus();
  }
};

}  // namespace

void register_unicode_script(Registry& registry) {
  registry.op("UnicodeScript")
      .input("input: int32")
      .output("output: int32")
      .shape(unchanged_shape)
      .cpu<UnicodeScript>()
      .doc("The script of each code point, -1 for what is none.");
}

}  // namespace millrace
