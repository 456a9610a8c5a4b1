// Which device the program takes, and what it says, on machines whose GPU is missing, too old or without cuDNN.
#include "engine/errors.h"
#include "engine/gpu.h"
#include "kernels/base/stream.h"
#include "tests/support/pipeline_cases.h"
#include "tools/options.h"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

namespace boneage::tools {
namespace {

using session::GpuWork;

constexpr const char* kTooOld =
    "CUDA kernels on the CPU has compute capability 7.5, this program needs 8.0 or newer: use another GPU or --device "
    "cpu";
const std::string kOnTheSecond = "computing on GPU 1, the first that can be used: ";
constexpr const char* kNoCudnn = "cuDNN 9 cannot be loaded: install it";

class GpuChoice : public ::testing::Test {
protected:
    ~GpuChoice() override {
        simt::faults().unavailable = -1;
        simt::faults().old_driver = false;
        simt::faults().no_cudnn = false;
        simt::faults().compute_capabilities = {90};
    }

    // The GPU that auto takes, or -1 for the CPU, and what it says.
    static std::pair<int, std::string> automatic(GpuWork work) {
        ::testing::internal::CaptureStderr();
        const std::optional<int> gpu = choose_gpu("auto", work);
        return {gpu.value_or(-1), ::testing::internal::GetCapturedStderr()};
    }
    // Why a GPU that is named cannot be used; empty when it can.
    static std::string refusal(const std::string& device, GpuWork work) {
        try {
            EXPECT_TRUE(choose_gpu(device, work).has_value());
            return "";
        } catch (const DeviceError& error) {
            return error.what();
        }
    }
};

TEST_F(GpuChoice, auto_takes_a_gpu_that_can_be_used_and_says_nothing) {
    for (const GpuWork work : {GpuWork::images, GpuWork::networks}) {
        EXPECT_EQ(automatic(work), std::pair(0, std::string()));
        EXPECT_EQ(refusal("cuda", work), "");
        EXPECT_EQ(refusal("cuda:0", work), "");
    }
    EXPECT_EQ(choose_gpu("cpu"), std::nullopt);
}

TEST_F(GpuChoice, a_machine_without_a_gpu_is_no_news) {
    simt::faults().compute_capabilities.clear();
    EXPECT_EQ(automatic(GpuWork::networks), std::pair(-1, std::string()));
    EXPECT_EQ(refusal("cuda", GpuWork::networks),
              "--device cuda cannot be used: this machine has no GPU that CUDA can use; give --device cpu or auto");
}

TEST_F(GpuChoice, a_gpu_older_than_the_kernels_leaves_the_work_to_the_cpu_and_is_named) {
    simt::faults().compute_capabilities = {75};
    for (const GpuWork work : {GpuWork::images, GpuWork::networks}) {
        EXPECT_EQ(automatic(work), std::pair(-1, std::string("computing without the GPU: ") + kTooOld + "\n"));
        EXPECT_EQ(refusal("cuda:0", work), std::string("--device cuda:0 cannot be used: ") + kTooOld);
    }
    EXPECT_THROW(Stream(0), DeviceError) << "whoever did not ask first";
    for (const int capability : {80, 86, 89, 120}) {
        simt::faults().compute_capabilities = {capability};
        EXPECT_EQ(automatic(GpuWork::networks), std::pair(0, std::string()));
    }
}

TEST_F(GpuChoice, auto_passes_over_a_gpu_that_is_too_old_and_says_so) {
    simt::faults().compute_capabilities = {75, 90, 90};
    for (const GpuWork work : {GpuWork::images, GpuWork::networks}) {
        EXPECT_EQ(automatic(work), std::pair(1, kOnTheSecond + kTooOld + "\n"));
    }
    EXPECT_EQ(refusal("cuda", GpuWork::images), std::string("--device cuda cannot be used: ") + kTooOld);
    EXPECT_EQ(refusal("cuda:1", GpuWork::images), "");
}

TEST_F(GpuChoice, auto_passes_over_a_gpu_that_lets_nobody_in_and_says_so) {
    simt::faults().compute_capabilities = {90, 90};
    simt::faults().unavailable = 0;
    const auto [gpu, said] = automatic(GpuWork::images);
    EXPECT_EQ(gpu, 1);
    EXPECT_EQ(said.find(kOnTheSecond + "the GPU failed: CUDA-capable device(s) is/are busy or unavailable"), 0U)
        << said;
    EXPECT_EQ(refusal("cuda:1", GpuWork::images), "");
    simt::faults().unavailable = 1;
    EXPECT_EQ(automatic(GpuWork::images), std::pair(0, std::string())) << "one behind the first is not asked";
}

TEST_F(GpuChoice, what_is_wrong_with_every_gpu_is_said_once) {
    simt::faults().compute_capabilities = {75, 75, 90, 90};
    simt::faults().no_cudnn = true;
    EXPECT_EQ(automatic(GpuWork::networks),
              std::pair(-1, std::string("computing without the GPU: ") + kTooOld + "; " + kNoCudnn + "\n"));
}

TEST_F(GpuChoice, without_cudnn_networks_are_left_to_the_cpu_and_images_are_not) {
    simt::faults().no_cudnn = true;
    EXPECT_EQ(automatic(GpuWork::networks),
              std::pair(-1, std::string("computing without the GPU: ") + kNoCudnn + "\n"));
    EXPECT_EQ(refusal("cuda", GpuWork::networks), std::string("--device cuda cannot be used: ") + kNoCudnn);
    EXPECT_EQ(automatic(GpuWork::images), std::pair(0, std::string()));
    EXPECT_EQ(refusal("cuda", GpuWork::images), "");
}

TEST_F(GpuChoice, an_old_driver_leaves_the_work_to_the_cpu) {
    simt::faults().old_driver = true;
    const auto [gpu, said] = automatic(GpuWork::networks);
    EXPECT_EQ(gpu, -1);
    EXPECT_NE(said.find("computing without the GPU: the NVIDIA driver here supports CUDA 11.8"), std::string::npos);
}

TEST_F(GpuChoice, a_gpu_that_is_not_there_is_told_with_those_that_are) {
    EXPECT_EQ(refusal("cuda:3", GpuWork::images),
              "--device cuda:3 cannot be used: there is no GPU 3; GPUs here are numbered from 0 to 0");
}

TEST_F(GpuChoice, a_name_is_understood_without_asking_for_the_gpu) {
    simt::faults().compute_capabilities.clear();
    EXPECT_EQ(named_gpu("cuda"), 0);
    EXPECT_EQ(named_gpu("cuda:7"), 7);
    EXPECT_EQ(named_gpu("auto"), std::nullopt);
    EXPECT_EQ(named_gpu("cpu"), std::nullopt);
    for (const char* device : {"tpu", "cuda:", "cuda:-1", "cuda:1x", "cuda1", ""}) {
        EXPECT_THROW(named_gpu(device), UsageError) << device;
        EXPECT_THROW(choose_gpu(device), UsageError) << device;
    }
}

TEST_F(GpuChoice, only_the_segmenter_of_an_applier_needs_cudnn) {
    simt::faults().no_cudnn = true;
    const auto applier = session::make_gpu_applier(0);
    const pipeline::Picture picture = std::get<HostImage<uint8_t>>(testing::disc(60, 40).pixels);
    EXPECT_NO_THROW(applier->clahe(picture, {2.0, 3, 2}));
    EXPECT_NO_THROW(applier->contrast(picture, 0.05));
    const pipeline::Recipe recipe = testing::small_recipe();
    const pipeline::SegmenterSource segmenter{testing::kBrightSpec, testing::bright_weights(0.5F)};
    try {
        applier->segment(picture, segmenter, recipe);
        FAIL() << "a network without cuDNN";
    } catch (const DeviceError& error) {
        EXPECT_EQ(std::string(error.what()), kNoCudnn);
    }
    simt::faults().no_cudnn = false;
    EXPECT_NO_THROW(applier->segment(picture, segmenter, recipe));
    EXPECT_NO_THROW(applier->segment(picture, segmenter, recipe));
}

}  // namespace
}  // namespace boneage::tools
