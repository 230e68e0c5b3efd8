#include "io/file_system.h"

namespace millrace {

std::string join_path(std::string_view a, std::string_view b) {
  if (a.empty()) return std::string(b);
  if (b.empty()) return std::string(a);
  while (b.starts_with('/')) b.remove_prefix(1);
  return str_cat(a, a.ends_with('/') ? "" : "/", b);
}

std::string_view directory_of(std::string_view path) {
  const size_t scheme = path.find("://");
  const size_t root = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return "";
  if (slash < root) return path.substr(0, root);
  return path.substr(0, slash == root ? slash + 1 : slash);
}

std::string_view file_name_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_absolute_path(std::string_view path) {
  return path.starts_with('/') || path.find("://") != std::string_view::npos;
}

}  // namespace millrace
