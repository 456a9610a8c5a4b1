#include "engine/onednn/backend.h"
#include "tests/support/plan_runs.h"

#include <algorithm>
#include <cstring>

namespace boneage::onednn {
namespace {

using plan::Executor;
using plan::Options;
using plan::Precision;
using testing::Inputs;
using testing::Parameters;

struct Case {
    std::string name;
    net::Graph graph;
    int64_t height;
    int64_t width;
    Precision precision;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const auto& [precision, suffix] :
         {std::pair{Precision::f32, std::string("_f32")}, {Precision::bf16, "_bf16"}, {Precision::f16, "_f16"}}) {
        all.push_back({"resnet34_64x96" + suffix, net::resnet34({.channels = 1, .sex_input = true, .hidden = 32}), 64,
                       96, precision});
        all.push_back(
            {"unet_48x80" + suffix, net::unet({.channels = 1, .depth = 4, .base_width = 16}), 48, 80, precision});
    }
    all.push_back({"unet_of_4_16x16_f32", net::unet({.channels = 3, .depth = 2, .base_width = 4, .outputs = 2}), 16, 16,
                   Precision::f32});
    return all;
}

class SameBits : public ::testing::TestWithParam<Case> {
protected:
    // The outputs of the first `batch` images, one after the other.
    std::vector<float> outputs(int64_t batch, int threads, int64_t first = 0) const {
        const Case& c = GetParam();
        const auto backend = make_backend({.threads = threads});
        Options options{.batch = batch, .height = c.height, .width = c.width, .precision = c.precision};
        options.traits = backend->traits();
        Executor executor(plan::lower(c.graph, options), *backend, testing::source_of(parameters_));
        for (const auto& [name, values] : inputs_) {
            const auto to = executor.input(name);
            const auto image = to.size() / static_cast<size_t>(batch);
            std::copy_n(values.begin() + first * static_cast<int64_t>(image), to.size(), to.begin());
        }
        executor.run();
        return executor.read(executor.plan().values[static_cast<size_t>(executor.plan().outputs[0])].name);
    }

    static constexpr int64_t kImages = 16;
    Parameters parameters_ = testing::random_parameters(GetParam().graph, 1);
    Inputs inputs_ = testing::random_inputs(
        GetParam().graph, {.batch = kImages, .height = GetParam().height, .width = GetParam().width}, 2);
};

TEST_P(SameBits, at_any_batch_size_and_thread_count) {
    const std::vector<float> want = outputs(kImages, 1);
    const size_t image = want.size() / kImages;
    const auto expect_bits = [&](const std::vector<float>& got, size_t first, const std::string& what) {
        ASSERT_GT(got.size(), 0U);
        EXPECT_EQ(0, std::memcmp(got.data(), want.data() + first * image, got.size() * sizeof(float))) << what;
    };
    for (const int threads : {1, 2, 4}) {
        const std::string suffix = " with " + std::to_string(threads) + " threads";
        for (const int64_t batch : {1, 3, 16}) {
            expect_bits(outputs(batch, threads), 0, "batch of " + std::to_string(batch) + suffix);
        }
        expect_bits(outputs(1, threads, 15), 15, "the last image alone" + suffix);
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, SameBits, ::testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace boneage::onednn
