#include "kernels/image/sharpen.h"

#include "bench/kernels/radiograph.h"

namespace boneage::bench {
namespace {

template <class P>
void add_sharpen(const std::string& name, const cv::Mat& source, SharpenKernel kernel, const cv::Mat& weights) {
    static HostImage<P> dst(source.rows, source.cols);
    static cv::Mat opencv_dst;
    compare(
        name, 2 * source.rows * int64_t{source.cols} * static_cast<int64_t>(sizeof(P)),
        [=](Workers& workers) {
            sharpen<P>(workers, one(view<P>(source)), one(dst.view()), {kernel, 0.25F});
        },
        [=] {
            cv::filter2D(source, opencv_dst, -1, weights, {-1, -1}, 0, cv::BORDER_REFLECT_101);
        });
}

[[maybe_unused]] const bool kRegistered = [] {
    const cv::Mat laplacian4 = (cv::Mat_<float>(3, 3) << 0, -1, 0, -1, 5, -1, 0, -1, 0);
    const cv::Mat laplacian8 = (cv::Mat_<float>(3, 3) << -1, -1, -1, -1, 9, -1, -1, -1, -1);
    // What `unsharp` computes at amount 0.25, as one filter.
    const cv::Mat unsharp = (cv::Mat_<float>(3, 3) << -0.5, 0, -0.5, 0, 3, 0, -0.5, 0, -0.5);
    add_sharpen<uint8_t>("sharpen_laplacian4_u8", radiograph(), SharpenKernel::laplacian4, laplacian4);
    add_sharpen<uint8_t>("sharpen_laplacian8_u8", radiograph(), SharpenKernel::laplacian8, laplacian8);
    add_sharpen<uint8_t>("sharpen_unsharp_u8", radiograph(), SharpenKernel::unsharp, unsharp);
    add_sharpen<uint16_t>("sharpen_laplacian4_u16", radiograph_u16(), SharpenKernel::laplacian4, laplacian4);
    return true;
}();

}  // namespace
}  // namespace boneage::bench
