#include "engine/plan/executor.h"
#include "tests/support/naive_backend.h"
#include "tests/support/network_goldens.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace boneage::plan {
namespace {

TEST(PlainLoops, give_what_pytorch_gives_layer_by_layer) {
    const auto goldens = testing::network_goldens();
    ASSERT_EQ(goldens.size(), 4U);
    for (const testing::NetworkGolden& golden : goldens) {
        testing::NaiveBackend backend({.residual_in_place = true});
        Options options{.batch = golden.batch, .height = golden.height, .width = golden.width};
        options.traits = backend.traits();
        for (const auto& [name, value] : golden.values) {
            options.keep.push_back(name);
        }
        Executor executor(lower(golden.graph, options), backend, testing::formula_parameters(golden.graph));
        for (const auto& [name, values] : golden.inputs) {
            std::ranges::copy(values, executor.input(name).begin());
        }
        executor.run();
        for (const auto& [name, value] : golden.values) {
            testing::expect_golden(executor.read(name), value, 1e-5, golden.name + ", " + name);
        }
    }
}

}  // namespace
}  // namespace boneage::plan
