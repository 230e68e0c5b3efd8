#pragma once
// What each op means: its signature, shape function, kernels and gradient, by name. One family of ops is one file of
// src/ops with one register function:
//
//   void register_softplus(Registry& registry) {
//     registry.op("Softplus").input("features: T").output("activations: T")
//         .attr("T: {half, bfloat16, float, double} = DT_FLOAT")
//         .shape(unchanged_shape).cpu<Softplus, Half, BFloat16, float, double>().gradient(softplus_gradient)
//         .doc("log(exp(x) + 1), elementwise.");
//   }
//
// Registration is complete before the registry is shared; from then on it is immutable and safe to read from any
// thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "op/op_def.h"

namespace millrace {

class ShapeContext;     // op/shape_context.h
class GradientContext;  // op/gradient_context.h
class Kernel;           // op/kernel.h

using ShapeFunction = absl::Status (*)(ShapeContext&);
using GradientFunction = absl::Status (*)(GradientContext&);
using KernelFactory = std::unique_ptr<Kernel> (*)();

// A list of C++ element types, for kernels that exist for many.
template <class... Ts> struct Types {};
using FloatTypes = Types<Half, BFloat16, float, double>;
using IntegerTypes = Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using RealTypes =
    Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using ComplexTypes = Types<Complex64, Complex128>;
using NumberTypes = Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t,
                          uint64_t, Complex64, Complex128>;

struct KernelDef {
  struct Constraint {
    std::string attr;
    DataType type;
  };
  std::string device;  // "CPU"
  std::vector<Constraint> constraints;
  KernelFactory create = nullptr;
};

struct OpEntry {
  OpDef def;
  ShapeFunction shape = nullptr;
  GradientFunction gradient = nullptr;
  bool not_differentiable = false;  // gradients stop here, by declaration; neither set: asking for one is an error
  std::vector<KernelDef> kernels;
  // True for ops that read or change what lives beyond a step (is_stateful), or whose results differ between runs.
  bool is_stateful() const { return def.is_stateful; }
};

class OpBuilder {
 public:
  explicit OpBuilder(OpEntry* entry, std::vector<std::string>* errors) : entry_(entry), errors_(errors) {}
  OpBuilder& input(std::string_view spec);
  OpBuilder& output(std::string_view spec);
  OpBuilder& attr(std::string_view spec);
  OpBuilder& shape(ShapeFunction fn) {
    entry_->shape = fn;
    return *this;
  }
  OpBuilder& gradient(GradientFunction fn) {
    entry_->gradient = fn;
    return *this;
  }
  OpBuilder& not_differentiable() {
    entry_->not_differentiable = true;
    return *this;
  }
  OpBuilder& stateful() {
    entry_->def.is_stateful = true;
    return *this;
  }
  OpBuilder& commutative() {
    entry_->def.is_commutative = true;
    return *this;
  }
  OpBuilder& aggregate() {
    entry_->def.is_aggregate = true;
    return *this;
  }
  OpBuilder& allows_uninitialized_input() {
    entry_->def.allows_uninitialized_input = true;
    return *this;
  }
  OpBuilder& doc(std::string_view text) {
    entry_->def.doc = text;
    return *this;
  }

  // One kernel for every dtype.
  template <class K> OpBuilder& cpu() {
    return kernel({"CPU", {}, [] { return std::unique_ptr<Kernel>(new K); }});
  }
  // K<T> for each T that the type attribute may take.
  template <template <class> class K, class... Ts> OpBuilder& cpu(std::string_view attr = "T") {
    (kernel({"CPU", {{std::string(attr), dtype_of<Ts>}}, [] { return std::unique_ptr<Kernel>(new K<Ts>); }}), ...);
    return *this;
  }
  template <template <class> class K, class... Ts> OpBuilder& cpu_for(Types<Ts...>, std::string_view attr = "T") {
    return cpu<K, Ts...>(attr);
  }
  // K<T, I> for each pair of types of two attributes, such as values and indices.
  template <template <class, class> class K, class... Ts, class... Is>
  OpBuilder& cpu_for(Types<Ts...> types, std::string_view attr, Types<Is...>, std::string_view index_attr) {
    (cpu_pairs<K, Is>(types, attr, index_attr), ...);
    return *this;
  }
  OpBuilder& kernel(KernelDef def) {
    entry_->kernels.push_back(std::move(def));
    return *this;
  }

 private:
  template <template <class, class> class K, class I, class... Ts>
  void cpu_pairs(Types<Ts...>, std::string_view attr, std::string_view index_attr) {
    (kernel({"CPU",
             {{std::string(attr), dtype_of<Ts>}, {std::string(index_attr), dtype_of<I>}},
             [] { return std::unique_ptr<Kernel>(new K<Ts, I>); }}),
     ...);
  }
  OpEntry* entry_;
  std::vector<std::string>* errors_;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  OpBuilder op(std::string_view name);
  const OpEntry* find(std::string_view name) const;  // null if there is none
  std::vector<std::string> names() const;            // sorted
  // What was wrong with registrations (bad specs, doubled names); empty in a correct program, which a test asserts.
  const std::vector<std::string>& errors() const { return errors_; }

  // The kernel of the op for a device and these attributes; NotFound names what exists.
  absl::StatusOr<const KernelDef*> find_kernel(std::string_view op, std::string_view device,
                                               const AttrMap& attrs) const;

 private:
  struct Entries;
  std::unique_ptr<Entries> entries_;
  std::vector<std::string> errors_;
};

}  // namespace millrace
