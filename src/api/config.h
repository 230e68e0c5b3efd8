#pragma once
// The public ConfigProto as what sessions in this process and those at servers take.

#include "millrace/session.h"
#include "runtime/session.h"

namespace tensorflow {
class ConfigProto;
}

namespace millrace {

SessionCoreOptions core_options(const ConfigProto& config);
tensorflow::ConfigProto config_proto(const ConfigProto& config);

}  // namespace millrace
