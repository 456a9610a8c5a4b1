#include "bench/kernels/radiograph.h"
#include "kernels/image/components.h"
#include "kernels/image/overlay.h"
#include "kernels/image/polarity.h"

namespace boneage::bench {
namespace {

HostScratch scratch;
Bytes<Host> component_scratch() {
    return scratch.bytes(components_scratch_bytes(mask().rows, mask().cols, 1));
}

[[maybe_unused]] const bool kRegistered = [] {
    const int64_t pixels = mask().rows * int64_t{mask().cols};
    static HostImage<uint8_t> dst(mask().rows, mask().cols);
    static HostImage<int32_t> labels(mask().rows, mask().cols);
    static cv::Mat opencv_dst;
    compare(
        "label_components", 5 * pixels,
        [](Workers& workers) {
            label_components(workers, one(view<uint8_t>(mask())), one(labels.view()), component_scratch());
        },
        [] { cv::connectedComponents(mask(), opencv_dst, 8, CV_32S); });
    compare(
        "keep_largest", 2 * pixels,
        [](Workers& workers) {
            ComponentStats stats;
            keep_largest(workers, one(view<uint8_t>(mask())), one(dst.view()), {&stats, 1}, component_scratch());
            benchmark::DoNotOptimize(stats);
        },
        [] {
            cv::Mat found;
            cv::Mat stats;
            cv::Mat centroids;
            const int count = cv::connectedComponentsWithStats(mask(), found, stats, centroids, 8, CV_32S);
            int best = 1;
            for (int label = 1; label < count; ++label) {
                if (stats.at<int>(label, cv::CC_STAT_AREA) > stats.at<int>(best, cv::CC_STAT_AREA)) {
                    best = label;
                }
            }
            opencv_dst = found == best;
        });
    compare(
        "fill_holes", 2 * pixels,
        [](Workers& workers) { fill_holes(workers, one(view<uint8_t>(mask())), one(dst.view()), component_scratch()); },
        [] {
            std::vector<std::vector<cv::Point>> contours;
            cv::findContours(mask(), contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
            cv::Mat filled = cv::Mat::zeros(mask().size(), CV_8U);
            cv::drawContours(filled, contours, -1, 255, cv::FILLED);
        });
    compare(
        "overlay", 3 * pixels,
        [](Workers& workers) {
            overlay<uint8_t>(workers, one(view<uint8_t>(radiograph())), one(view<uint8_t>(mask())), one(dst.view()), 0);
        },
        [] {
            cv::Mat kept = cv::Mat::zeros(mask().size(), CV_8U);
            radiograph().copyTo(kept, mask());
        });
    compare(
        "invert", 2 * pixels,
        [](Workers& workers) { invert<uint8_t>(workers, one(view<uint8_t>(radiograph())), one(dst.view()), {}); },
        [] { cv::bitwise_not(radiograph(), opencv_dst); });
    return true;
}();

}  // namespace
}  // namespace boneage::bench
