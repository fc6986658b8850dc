#include "dispatch.h"
#include "filter_arguments.h"
#include "plan.h"

DS_IN_VARIANTS(int filter_float(const FilterArguments&, const Plan&);
               int filter_double(const FilterArguments&, const Plan&);
               int gradients_float(const GradientArguments&, const Plan&);
               int gradients_double(const GradientArguments&, const Plan&);)

// The functions below return 0, or 2 where memory is short.
DS_EXPORT int ds_filter(const void* handle, const ds::FilterArguments* arguments) {
    const auto& plan = *static_cast<const ds::Plan*>(handle);
    return plan.dtype == 0 ? DS_PICK(filter_float)(*arguments, plan)
                           : DS_PICK(filter_double)(*arguments, plan);
}

DS_EXPORT int ds_gradients(const void* handle, const ds::GradientArguments* arguments) {
    const auto& plan = *static_cast<const ds::Plan*>(handle);
    return plan.dtype == 0 ? DS_PICK(gradients_float)(*arguments, plan)
                           : DS_PICK(gradients_double)(*arguments, plan);
}
