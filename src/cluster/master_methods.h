#pragma once
// The methods of TensorFlow's MasterService, as gRPC names them.

namespace millrace::master_methods {

inline constexpr char kCreateSession[] = "/tensorflow.MasterService/CreateSession";
inline constexpr char kExtendSession[] = "/tensorflow.MasterService/ExtendSession";
inline constexpr char kPartialRunSetup[] = "/tensorflow.MasterService/PartialRunSetup";
inline constexpr char kRunStep[] = "/tensorflow.MasterService/RunStep";
inline constexpr char kCloseSession[] = "/tensorflow.MasterService/CloseSession";
inline constexpr char kListDevices[] = "/tensorflow.MasterService/ListDevices";
inline constexpr char kReset[] = "/tensorflow.MasterService/Reset";
inline constexpr char kMakeCallable[] = "/tensorflow.MasterService/MakeCallable";
inline constexpr char kRunCallable[] = "/tensorflow.MasterService/RunCallable";
inline constexpr char kReleaseCallable[] = "/tensorflow.MasterService/ReleaseCallable";

}  // namespace millrace::master_methods
