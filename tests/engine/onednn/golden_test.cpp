// Both networks against PyTorch's values, and 16-bit types against float32 in every layer.
#include "engine/onednn/backend.h"
#include "tests/support/network_goldens.h"
#include "tests/support/plan_runs.h"

namespace boneage::onednn {
namespace {

using plan::Precision;
using testing::NetworkGolden;

// A golden's network, run with the named values kept.
class GoldenRun {
public:
    GoldenRun(const NetworkGolden& golden, Precision precision, std::vector<std::string> keep,
              Convolutions convolutions = Convolutions::winograd)
        : backend_(make_backend({.threads = 2, .convolutions = convolutions})) {
        plan::Options options{
            .batch = golden.batch, .height = golden.height, .width = golden.width, .precision = precision};
        options.traits = backend_->traits();
        options.keep = std::move(keep);
        executor_.emplace(plan::lower(golden.graph, options), *backend_, testing::formula_parameters(golden.graph));
        testing::fill(*executor_, golden.inputs);
        executor_->run();
    }
    [[nodiscard]] std::vector<float> values(const std::string& name) const { return executor_->read(name); }

private:
    std::unique_ptr<plan::Backend> backend_;
    std::optional<plan::Executor> executor_;
};

TEST(Golden, float32_gives_what_pytorch_gives_layer_by_layer) {
    const auto goldens = testing::network_goldens();
    ASSERT_FALSE(goldens.empty());
    for (const NetworkGolden& golden : goldens) {
        std::vector<std::string> names;
        for (const auto& item : golden.values) {
            names.push_back(item.first);
        }
        for (const auto& [convolutions, most] :
             {std::pair{Convolutions::winograd, 1e-5}, {Convolutions::direct, 2e-6}}) {
            const GoldenRun run(golden, Precision::f32, names, convolutions);
            for (const auto& [name, value] : golden.values) {
                testing::expect_golden(run.values(name), value, most, golden.name + ", " + name);
            }
        }
    }
}

// One layer's rounding stays within 1e-2; here the rounding of all layers before it has added up too.
TEST(Golden, sixteen_bits_stay_near_float32_in_every_layer) {
    for (const NetworkGolden& golden : testing::network_goldens()) {
        std::vector<std::string> names;
        for (const net::Op& op : golden.graph.ops) {
            names.push_back(golden.graph.values[static_cast<size_t>(net::made_by(op))].name);
        }
        const GoldenRun exact(golden, Precision::f32, names);
        for (const auto& [precision, most] : {std::pair{Precision::bf16, 2e-2}, {Precision::f16, 2e-3}}) {
            const GoldenRun rounded(golden, precision, names);
            for (const std::string& name : names) {
                EXPECT_LE(testing::relative_distance(rounded.values(name), exact.values(name)), most)
                    << golden.name << ", " << name;
            }
        }
    }
}

}  // namespace
}  // namespace boneage::onednn
