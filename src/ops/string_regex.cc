// Strings matched and rewritten by regular expressions, in RE2's syntax.

#include <memory>
#include <mutex>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "re2/re2.h"

namespace millrace {
namespace {

absl::StatusOr<std::shared_ptr<const RE2>> compile(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<const RE2>(pattern, options);
  if (!regex->ok()) return invalid_argument("Invalid pattern: ", pattern, ", error: ", regex->error());
  return regex;
}

// Keeps the last pattern compiled: a node mostly sees one.
class PatternCache {
 public:
  absl::StatusOr<std::shared_ptr<const RE2>> get(const std::string& pattern) {
    std::lock_guard lock(mutex_);
    if (!regex_ || regex_->pattern() != pattern) {
      MR_ASSIGN_OR_RETURN(regex_, compile(pattern));
    }
    return regex_;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const RE2> regex_;
};

absl::Status match_all(KernelContext& ctx, const RE2& regex) {
  MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
  MR_ASSIGN_OR_RETURN(const auto out, ctx.output<bool>(0, ctx.shape(0)));
  for (size_t i = 0; i < in.size(); ++i) out[i] = RE2::FullMatch(in[i], regex);
  return absl::OkStatus();
}

absl::Status replace_all(KernelContext& ctx, const RE2& regex, const std::string& rewrite, bool global) {
  std::string error;
  if (!regex.CheckRewriteString(rewrite, &error))
    return invalid_argument("Invalid rewrite: ", rewrite, ", error: ", error);
  MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
  MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
  for (size_t i = 0; i < in.size(); ++i) {
    out[i] = in[i];
    if (global) RE2::GlobalReplace(&out[i], regex, rewrite);
    else RE2::Replace(&out[i], regex, rewrite);
  }
  return absl::OkStatus();
}

class StaticRegexFullMatch final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string pattern, init.attr<std::string>("pattern"));
    MR_ASSIGN_OR_RETURN(regex_, compile(pattern));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return match_all(ctx, *regex_); }
  std::shared_ptr<const RE2> regex_;
};

class RegexFullMatch final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string pattern, ctx.scalar<std::string>(1));
    MR_ASSIGN_OR_RETURN(const auto regex, cache_.get(pattern));
    return match_all(ctx, *regex);
  }
  PatternCache cache_;
};

class StaticRegexReplace final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const std::string pattern, init.attr<std::string>("pattern"));
    MR_ASSIGN_OR_RETURN(rewrite_, init.attr<std::string>("rewrite"));
    MR_ASSIGN_OR_RETURN(global_, init.attr<bool>("replace_global"));
    MR_ASSIGN_OR_RETURN(regex_, compile(pattern));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return replace_all(ctx, *regex_, rewrite_, global_); }
  std::shared_ptr<const RE2> regex_;
  std::string rewrite_;
  bool global_ = true;
};

class RegexReplace final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string pattern, ctx.scalar<std::string>(1));
    MR_ASSIGN_OR_RETURN(const std::string rewrite, ctx.scalar<std::string>(2));
    MR_ASSIGN_OR_RETURN(const bool global, get_attr<bool>(ctx.node(), "replace_global"));
    MR_ASSIGN_OR_RETURN(const auto regex, cache_.get(pattern));
    return replace_all(ctx, *regex, rewrite, global);
  }
  PatternCache cache_;
};

absl::Status regex_match_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return unchanged_shape(c);
}

absl::Status regex_replace_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  return unchanged_shape(c);
}

}  // namespace

void register_string_regex(Registry& registry) {
  registry.op("RegexFullMatch")
      .input("input: string")
      .input("pattern: string")
      .output("output: bool")
      .shape(regex_match_shape)
      .cpu<RegexFullMatch>()
      .not_differentiable()
      .doc("Whether the whole string matches the pattern.");
  registry.op("StaticRegexFullMatch")
      .input("input: string")
      .output("output: bool")
      .attr("pattern: string")
      .shape(unchanged_shape)
      .cpu<StaticRegexFullMatch>()
      .not_differentiable()
      .doc("Whether the whole string matches the pattern.");
  registry.op("RegexReplace")
      .input("input: string")
      .input("pattern: string")
      .input("rewrite: string")
      .output("output: string")
      .attr("replace_global: bool = true")
      .shape(regex_replace_shape)
      .cpu<RegexReplace>()
      .not_differentiable()
      .doc("Matches of the pattern replaced.");
  registry.op("StaticRegexReplace")
      .input("input: string")
      .output("output: string")
      .attr("pattern: string")
      .attr("rewrite: string")
      .attr("replace_global: bool = true")
      .shape(unchanged_shape)
      .cpu<StaticRegexReplace>()
      .not_differentiable()
      .doc("Matches of the pattern replaced.");
}

}  // namespace millrace
