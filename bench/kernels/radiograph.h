// What the kernel benchmarks run on: a real radiograph brought to 1500x2000, and the mask of its bright part.
#pragma once

#include "bench/timing.h"
#include "engine/io/image_file.h"
#include "kernels/base/buffer.h"
#include "kernels/base/workers.h"

#include <benchmark/benchmark.h>
#include <cstdlib>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

namespace boneage::bench {

inline const cv::Mat& radiograph() {
    static const cv::Mat image = [] {
        cv::Mat resized;
        // A program that was carried to another machine is told there where its pictures lie.
        const char* folder = std::getenv("BONEAGE_TEST_DATA");
        const std::string path = std::string(folder != nullptr ? folder : BONEAGE_TEST_DATA) + "/radiographs/1381.png";
        io::DecodedImage decoded = io::decode_image(path);
        const auto pixels = std::get<HostImage<uint8_t>>(decoded.pixels).view();
        const cv::Mat whole(static_cast<int>(pixels.height), static_cast<int>(pixels.width), CV_8U, pixels.data,
                            static_cast<size_t>(pixels.stride));
        cv::resize(whole, resized, {1500, 2000}, 0, 0, cv::INTER_AREA);
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

// Appends the times of runs one after another, in milliseconds: as many as two milliseconds hold, and one at least.
// Before them goes one that is not timed, in which this pool's threads awake and the peer's go to sleep. Returns the
// sum.
template <class Run>
double take_turn(Run run, std::vector<double>& times) {
    run();
    double spent = 0;
    while (spent < 2.0) {
        times.push_back(milliseconds(run));
        spent += times.back();
    }
    return spent;
}

// Registers a benchmark at one and at two threads that runs `ours` (called with Workers) and `opencv` in turns, so that
// both suffer alike from whatever else the machine does. It shows the median of each, the ratio of the medians and that
// of the 10th percentiles, which still means something where threads wait for a processor; the benchmark's own time is
// that of our turns. `bytes` is what the operation reads and writes at least, for the bandwidth shown.
template <class Ours, class OpenCv>
void compare(const std::string& name, int64_t bytes, Ours ours, OpenCv opencv) {
    for (const int threads : {1, 2}) {
        benchmark::RegisterBenchmark(
            (name + "/threads:" + std::to_string(threads)).c_str(),
            [=](benchmark::State& state) {
                Workers workers(threads);
                cv::setNumThreads(threads);
                std::vector<double> our_times;
                std::vector<double> opencv_times;
                for (auto _ : state) {
                    take_turn(opencv, opencv_times);
                    state.SetIterationTime(take_turn([&] { ours(workers); }, our_times) / 1000);
                }
                state.SetBytesProcessed(static_cast<int64_t>(our_times.size()) * bytes);
                state.counters["boneage_ms"] = quantile(our_times, 0.5);
                state.counters["opencv_ms"] = quantile(opencv_times, 0.5);
                state.counters["ratio"] = quantile(our_times, 0.5) / quantile(opencv_times, 0.5);
                state.counters["ratio_p10"] = quantile(our_times, 0.1) / quantile(opencv_times, 0.1);
            })
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
    }
}

// The same for what has no peer: times `call` (given Workers) alone.
template <class Call>
void measure(const std::string& name, int64_t bytes, Call call) {
    for (const int threads : {1, 2}) {
        benchmark::RegisterBenchmark((name + "/threads:" + std::to_string(threads)).c_str(),
                                     [=](benchmark::State& state) {
                                         Workers workers(threads);
                                         call(workers);  // whose first run makes its buffers
                                         for (auto _ : state) {
                                             call(workers);
                                         }
                                         state.SetBytesProcessed(state.iterations() * bytes);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
    }
}

}  // namespace boneage::bench
