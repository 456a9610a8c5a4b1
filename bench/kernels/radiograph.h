// What the kernel benchmarks run on: a real radiograph brought to 1500x2000, and the mask of its bright part.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/workers.h"

#include <benchmark/benchmark.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace boneage::bench {

inline const cv::Mat& radiograph() {
    static const cv::Mat image = [] {
        cv::Mat resized;
        cv::resize(cv::imread(BONEAGE_TEST_DATA "/radiographs/1381.png", cv::IMREAD_GRAYSCALE), resized, {1500, 2000},
                   0, 0, cv::INTER_AREA);
        return resized;
    }();
    return image;
}

inline const cv::Mat& radiograph_u16() {
    static const cv::Mat image = [] {
        cv::Mat wide;
        radiograph().convertTo(wide, CV_16U, 257);
        return wide;
    }();
    return image;
}

// The bright part, ragged as thresholds are: some hundreds of components and holes.
inline const cv::Mat& mask() {
    static const cv::Mat image = [] {
        cv::Mat binary;
        cv::threshold(radiograph(), binary, 0, 255, cv::THRESH_BINARY | cv::THRESH_OTSU);
        return binary;
    }();
    return image;
}

template <class P>
Image<const P, Host> view(const cv::Mat& image) {
    return {image.ptr<P>(), image.rows, image.cols, static_cast<int64_t>(image.step / sizeof(P))};
}

// Registers `ours` (called with Workers) and `opencv` under one name at one and two threads. `bytes` is what the
// operation reads and writes at least, for the bandwidth shown.
template <class Ours, class OpenCv>
void compare(const std::string& name, int64_t bytes, Ours ours, OpenCv opencv) {
    for (const int threads : {1, 2}) {
        const std::string suffix = "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark((name + "/boneage" + suffix).c_str(),
                                     [=](benchmark::State& state) {
                                         Workers workers(threads);
                                         for (auto _ : state) {
                                             ours(workers);
                                         }
                                         state.SetBytesProcessed(state.iterations() * bytes);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
        benchmark::RegisterBenchmark((name + "/opencv" + suffix).c_str(),
                                     [=](benchmark::State& state) {
                                         cv::setNumThreads(threads);
                                         for (auto _ : state) {
                                             opencv();
                                         }
                                         state.SetBytesProcessed(state.iterations() * bytes);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
    }
}

}  // namespace boneage::bench
