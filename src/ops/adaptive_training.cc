// Ops that apply gradients by rules whose step adapts to each element's past: the Adagrad, RMSProp, Adadelta and FTRL
// families, and the proximal and sign based ones.

#include <algorithm>
#include <cmath>

#include "ops/training.h"

namespace millrace {
namespace {

template <class S> S sign(S x) { return static_cast<S>((x > 0) - (x < 0)); }

// Shrinks towards zero: sign(x) max(|x| - by, 0), for by > 0.
template <class S> S shrink(S x, S by) { return by > 0 ? sign(x) * std::max(std::abs(x) - by, S(0)) : x; }

// --- RMSProp

struct RmsPropOp {
  static ApplyForm form() {
    return {"ApplyRMSProp",
            {"var", "ms", "mom"},
            {"lr", "rho", "momentum", "epsilon", "grad"},
            "grad",
            "",
            "ms = rho * ms + (1 - rho) * grad^2; mom = momentum * mom + lr * grad / sqrt(ms + epsilon); var -= mom."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 3;
    S lr, rho, momentum, epsilon;
    void operator()(S* s, S g) const {
      s[1] += (g * g - s[1]) * (S(1) - rho);
      s[2] = s[2] * momentum + g * lr / std::sqrt(s[1] + epsilon);
      s[0] -= s[2];
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2], h[3]}; }
};

struct CenteredRmsPropOp {
  static ApplyForm form() {
    return {"ApplyCenteredRMSProp",
            {"var", "mg", "ms", "mom"},
            {"lr", "rho", "momentum", "epsilon", "grad"},
            "grad",
            "",
            "RMSProp that divides by an estimate of the gradient's variance."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 4;
    S lr, rho, momentum, epsilon;
    void operator()(S* s, S g) const {
      s[2] += (g * g - s[2]) * (S(1) - rho);
      s[1] += (g - s[1]) * (S(1) - rho);
      s[3] = s[3] * momentum + g * lr / std::sqrt(s[2] - s[1] * s[1] + epsilon);
      s[0] -= s[3];
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2], h[3]}; }
};

// --- Adagrad: Duchi, Hazan and Singer, JMLR 12 (2011)

template <class S> struct AdagradRule {
  static constexpr int kSlots = 2;
  S lr, epsilon;
  bool update_slots, add_epsilon;
  void operator()(S* s, S g) const {
    if (update_slots) s[1] += g * g;
    s[0] -= g * lr / (add_epsilon ? std::sqrt(s[1]) + epsilon : std::sqrt(s[1]));
  }
};

struct AdagradOp {
  static ApplyForm form() {
    return {"ApplyAdagrad",
            {"var", "accum"},
            {"lr", "grad"},
            "grad",
            "update_slots: bool = true",
            "accum += grad^2; var -= lr * grad / sqrt(accum)."};
  }
  template <class S> static AdagradRule<S> make(const Hyperparameters<S>& h) { return {h[0], S(0), h.flag, false}; }
};

struct AdagradV2Op {
  static ApplyForm form() {
    return {"ApplyAdagradV2",
            {"var", "accum"},
            {"lr", "epsilon", "grad"},
            "grad",
            "update_slots: bool = true",
            "accum += grad^2; var -= lr * grad / (sqrt(accum) + epsilon)."};
  }
  template <class S> static AdagradRule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h.flag, true}; }
};

struct AdagradDaOp {
  static ApplyForm form() {
    return {"ApplyAdagradDA",
            {"var", "gradient_accumulator", "gradient_squared_accumulator"},
            {"grad", "lr", "l1", "l2", "global_step"},
            "grad",
            "",
            "Adagrad by dual averaging: var follows from the sums of all gradients and of their squares."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 3;
    S lr, l1, l2, step;
    void operator()(S* s, S g) const {
      s[1] += g;
      s[2] += g * g;
      s[0] = -lr * shrink(s[1], l1 * step) / (l2 * step * lr + std::sqrt(s[2]));
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2], h[3]}; }
};

// --- Adadelta: Zeiler, https://arxiv.org/abs/1212.5701

struct AdadeltaOp {
  static ApplyForm form() {
    return {"ApplyAdadelta",
            {"var", "accum", "accum_update"},
            {"lr", "rho", "epsilon", "grad"},
            "grad",
            "",
            "Steps as large as past steps were, over past gradients (https://arxiv.org/abs/1212.5701)."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 3;
    S lr, rho, epsilon;
    void operator()(S* s, S g) const {
      s[1] = s[1] * rho + g * g * (S(1) - rho);
      const S update = std::sqrt(s[2] + epsilon) / std::sqrt(s[1] + epsilon) * g;
      s[0] -= update * lr;
      s[2] = s[2] * rho + update * update * (S(1) - rho);
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2]}; }
};

// --- FTRL-proximal: McMahan et al., KDD 2013

template <class S> struct FtrlRule {
  static constexpr int kSlots = 3;  // var, accum, linear
  S lr, l1, l2, l2_shrinkage, lr_power;
  bool multiply_linear_by_lr;
  S power(S accum) const { return lr_power == S(-0.5) ? std::sqrt(accum) : std::pow(accum, -lr_power); }
  void operator()(S* s, S g) const {
    const S shrunk = g + 2 * l2_shrinkage * s[0];
    const S accum = s[1] + g * g;
    const S now = power(accum), grown = now - power(s[1]);
    S threshold = l1, curvature;
    if (multiply_linear_by_lr) {
      s[2] += shrunk * lr - grown * s[0];
      threshold *= lr;
      curvature = now + 2 * l2 * lr;
    } else {
      s[2] += shrunk - grown / lr * s[0];
      curvature = now / lr + 2 * l2;
    }
    s[0] = std::abs(s[2]) > threshold ? (threshold * sign(s[2]) - s[2]) / curvature : S(0);
    s[1] = accum;
  }
};

struct FtrlOp {
  static ApplyForm form() {
    return {"ApplyFtrl",
            {"var", "accum", "linear"},
            {"grad", "lr", "l1", "l2", "lr_power"},
            "grad",
            "multiply_linear_by_lr: bool = false",
            "Follow the regularized leader, proximal form."};
  }
  template <class S> static FtrlRule<S> make(const Hyperparameters<S>& h) {
    return {h[0], h[1], h[2], S(0), h[3], h.flag};
  }
};

struct FtrlV2Op {
  static ApplyForm form() {
    return {"ApplyFtrlV2",
            {"var", "accum", "linear"},
            {"grad", "lr", "l1", "l2", "l2_shrinkage", "lr_power"},
            "grad",
            "multiply_linear_by_lr: bool = false",
            "Follow the regularized leader, with a shrinkage of weights that leaves accum alone."};
  }
  template <class S> static FtrlRule<S> make(const Hyperparameters<S>& h) {
    return {h[0], h[1], h[2], h[3], h[4], h.flag};
  }
};

// --- Proximal steps: Duchi and Singer, FOBOS (NIPS 2009)

struct ProximalGradientDescentOp {
  static ApplyForm form() {
    return {"ApplyProximalGradientDescent",
            {"var"},
            {"alpha", "l1", "l2", "delta"},
            "delta",
            "",
            "A step of gradient descent, then shrinkage by l1 and l2."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 1;
    S lr, l1, l2;
    void operator()(S* s, S g) const { s[0] = shrink(s[0] - g * lr, lr * l1) / (S(1) + l2 * lr); }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2]}; }
};

struct ProximalAdagradOp {
  static ApplyForm form() {
    return {"ApplyProximalAdagrad",
            {"var", "accum"},
            {"lr", "l1", "l2", "grad"},
            "grad",
            "",
            "A step of Adagrad, then shrinkage by l1 and l2."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 2;
    S lr, l1, l2;
    void operator()(S* s, S g) const {
      s[1] += g * g;
      const S rate = lr / std::sqrt(s[1]);
      s[0] = shrink(s[0] - g * rate, rate * l1) / (S(1) + l2 * rate);
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2]}; }
};

// --- Relatives of Adam

struct AdaMaxOp {
  static ApplyForm form() {
    return {"ApplyAdaMax",
            {"var", "m", "v"},
            {"beta1_power", "lr", "beta1", "beta2", "epsilon", "grad"},
            "grad",
            "",
            "Adam with the infinity norm (https://arxiv.org/abs/1412.6980, section 7)."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 3;
    S rate, beta1, beta2, epsilon;
    void operator()(S* s, S g) const {
      s[1] += (g - s[1]) * (S(1) - beta1);
      s[2] = std::max(beta2 * s[2], std::abs(g));
      s[0] -= rate * (s[1] / (s[2] + epsilon));
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) {
    return {h[1] / (S(1) - h[0]), h[2], h[3], h[4]};
  }
};

struct AmsgradOp {
  static ApplyForm form() {
    return {"ApplyAdamWithAmsgrad",
            {"var", "m", "v", "vhat"},
            {"beta1_power", "beta2_power", "lr", "beta1", "beta2", "epsilon", "grad"},
            "grad",
            "",
            "Adam that divides by the largest second moment so far."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 4;
    S alpha, beta1, beta2, epsilon;
    void operator()(S* s, S g) const {
      s[1] += (g - s[1]) * (S(1) - beta1);
      s[2] += (g * g - s[2]) * (S(1) - beta2);
      s[3] = std::max(s[3], s[2]);
      s[0] -= s[1] * alpha / (std::sqrt(s[3]) + epsilon);
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) {
    return {h[2] * std::sqrt(S(1) - h[1]) / (S(1) - h[0]), h[3], h[4], h[5]};
  }
};

// --- By signs: Bello et al., https://arxiv.org/abs/1709.07417

struct AddSignOp {
  static ApplyForm form() {
    return {"ApplyAddSign", {"var", "m"}, {"lr", "alpha", "sign_decay", "beta", "grad"},
            "grad",         "",           "var -= lr * (alpha + sign_decay * sign(grad) * sign(m)) * grad."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 2;
    S lr, alpha, decay, beta;
    void operator()(S* s, S g) const {
      s[1] = s[1] * beta + g * (S(1) - beta);
      s[0] -= lr * (alpha + decay * sign(g) * sign(s[1])) * g;
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2], h[3]}; }
};

struct PowerSignOp {
  static ApplyForm form() {
    return {"ApplyPowerSign", {"var", "m"}, {"lr", "logbase", "sign_decay", "beta", "grad"},
            "grad",           "",           "var -= lr * exp(logbase * sign_decay * sign(grad) * sign(m)) * grad."};
  }
  template <class S> struct Rule {
    static constexpr int kSlots = 2;
    S lr, logbase, decay, beta;
    void operator()(S* s, S g) const {
      s[1] = s[1] * beta + g * (S(1) - beta);
      s[0] -= lr * std::exp(logbase * decay * sign(g) * sign(s[1])) * g;
    }
  };
  template <class S> static Rule<S> make(const Hyperparameters<S>& h) { return {h[0], h[1], h[2], h[3]}; }
};

template <class Op, class... Ts> void dense_and_sparse(Registry& registry, Types<Ts...> types) {
  register_apply<Op, false>(registry, types);
  register_apply<Op, true>(registry, types);
}

}  // namespace

void register_adaptive_training(Registry& registry) {
  using Complexes = Types<Half, BFloat16, float, double, Complex64, Complex128>;
  using Doubles = Types<float, double>;
  dense_and_sparse<RmsPropOp>(registry, Complexes());
  dense_and_sparse<CenteredRmsPropOp>(registry, Complexes());
  dense_and_sparse<AdagradOp>(registry, Complexes());
  dense_and_sparse<AdagradV2Op>(registry, Complexes());
  dense_and_sparse<AdagradDaOp>(registry, Doubles());
  dense_and_sparse<AdadeltaOp>(registry, Complexes());
  dense_and_sparse<FtrlOp>(registry, FloatTypes());
  dense_and_sparse<FtrlV2Op>(registry, FloatTypes());
  dense_and_sparse<ProximalGradientDescentOp>(registry, Doubles());
  dense_and_sparse<ProximalAdagradOp>(registry, Doubles());
  register_apply<AdaMaxOp, false>(registry, Types<Half, float, double>());
  register_apply<AmsgradOp, false>(registry, FloatTypes(), /*on_references=*/false);
  register_apply<AddSignOp, false>(registry, FloatTypes());
  register_apply<PowerSignOp, false>(registry, FloatTypes());
}

}  // namespace millrace
