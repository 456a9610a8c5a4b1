#include "kernels/image/clahe.h"

#include "bench/kernels/radiograph.h"
#include "kernels/image/contrast.h"

namespace boneage::bench {
namespace {

template <class P>
void add_clahe(const std::string& name, const cv::Mat& source) {
    static HostScratch scratch;
    static HostImage<P> dst(source.rows, source.cols);
    static cv::Mat opencv_dst;
    const ClaheParams params;
    const int64_t bytes = 2 * source.rows * int64_t{source.cols} * static_cast<int64_t>(sizeof(P));
    compare(
        name, bytes,
        [=](Workers& workers) {
            clahe<P>(workers, one(view<P>(source)), one(dst.view()), params,
                     scratch.bytes(clahe_scratch_bytes<P>(params, 1)));
        },
        [=] {
            cv::createCLAHE(2.0, {8, 8})->apply(source, opencv_dst);
        });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_clahe<uint8_t>("clahe_u8", radiograph());
    add_clahe<uint16_t>("clahe_u16", radiograph_u16());
    static HostScratch scratch;
    compare(
        "contrast_u8", radiograph().rows * int64_t{radiograph().cols},
        [](Workers& workers) {
            ContrastStats stats;
            contrast<uint8_t>(workers, one(view<uint8_t>(radiograph())), {&stats, 1}, {},
                              scratch.bytes(contrast_scratch_bytes<uint8_t>(1)));
            benchmark::DoNotOptimize(stats);
        },
        [] {
            // OpenCV has no such test; its histogram is the part that costs.
            cv::Mat histogram;
            const int channels = 0;
            const int bins = 256;
            const float range[] = {0, 256};
            const float* ranges = range;
            cv::calcHist(&radiograph(), 1, &channels, {}, histogram, 1, &bins, &ranges);
            benchmark::DoNotOptimize(histogram.data);
        });
    return true;
}();

}  // namespace
}  // namespace boneage::bench
