#include "cluster/transport.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>

namespace millrace {
namespace {

// A version of the project opens its own version only: what stands between them may change.
constexpr char kLibrary[] = "libmillrace_cluster.so." MILLRACE_SERIES;
constexpr char kEntry[] = "millrace_cluster_transport";

// The folder that the code of this function was loaded from, with a slash.
std::string own_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return {};
  const std::string_view path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash + 1));
}

absl::StatusOr<Transport*> open_library() {
  const std::string folder = own_folder();
  void* library = folder.empty() ? nullptr : dlopen((folder + kLibrary).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = dlerror();
    return unimplemented("Sessions and servers over gRPC need ", kLibrary, ", which could not be opened (",
                         why ? why : "no reason known",
                         "). Install the package libmillrace-cluster" MILLRACE_SERIES
                         ", or build Millrace with MILLRACE_CLUSTER=ON and link millrace::cluster.");
  }
  using Entry = Transport* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, kEntry));
  if (entry == nullptr) return unimplemented(kLibrary, " has no ", kEntry, ": it is not Millrace's");
  return entry();
}

std::atomic<Transport*> chosen{nullptr};

}  // namespace

void use_transport(Transport* transport) { chosen.store(transport, std::memory_order_release); }

absl::StatusOr<Transport*> transport() {
  if (Transport* const found = chosen.load(std::memory_order_acquire)) return found;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (Transport* const found = chosen.load(std::memory_order_acquire)) return found;
  MR_ASSIGN_OR_RETURN(Transport* const found, open_library());
  use_transport(found);
  return found;
}

}  // namespace millrace
