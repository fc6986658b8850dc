// Every vector kernel, compiled once per instruction set; see setup.py.
#include "gradients.h"
#include "passes.h"
#include "product.h"
#include "vectors.h"

namespace ds {
namespace DS_VARIANT {

int filter_float(const FilterArguments& f, const Plan& plan) { return run_filter<float>(f, plan); }
int filter_double(const FilterArguments& f, const Plan& plan) {
    return run_filter<double>(f, plan);
}
int gradients_float(const GradientArguments& g, const Plan& plan) {
    return run_gradients<float>(g, plan);
}
int gradients_double(const GradientArguments& g, const Plan& plan) {
    return run_gradients<double>(g, plan);
}

}  // namespace DS_VARIANT
}  // namespace ds
