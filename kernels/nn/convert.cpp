#include "kernels/nn/convert.h"

#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"

namespace boneage {

template <class From, class To>
void convert(Workers& workers, Tensor<const From, Host> src, Tensor<To, Host> dst) {
    expects(src.shape == dst.shape, "src and dst must have the same shape");
    workers.parallel_for(src.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        const From* from = src.data;
        To* to = dst.data;
        for (int64_t i = begin; i < end; ++i) {
            to[i] = from_float<To>(to_float(from[i]));
        }
    });
}

template void convert(Workers&, Tensor<const float, Host>, Tensor<bfloat16, Host>);
template void convert(Workers&, Tensor<const bfloat16, Host>, Tensor<float, Host>);

}  // namespace boneage
