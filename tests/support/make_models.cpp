// Writes the models that tests of the program use, for small pictures: resnet34.safetensors with seeded initial
// weights, wide_resnet34.safetensors of the usual width, and unet.safetensors, which takes for hand what is bright.
// Argument: the folder.
#include "engine/io/model_file.h"
#include "engine/pipeline/recipe.h"
#include "tests/support/models.h"

#include <cstdio>
#include <exception>
#include <filesystem>

namespace boneage::testing {
namespace {

pipeline::Recipe small_recipe() {
    pipeline::Recipe recipe;
    recipe.contrast.threshold = 0.02;
    recipe.canvas.long_side = 128;
    recipe.segment.patch = 64;
    recipe.segment.mean = 0.0;
    recipe.segment.deviation = 1.0;
    recipe.dilate = {pipeline::DilateElement::rect, 3, 3, 1};
    recipe.input.width = 64;
    recipe.input.height = 64;
    return recipe;
}

void make_models(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const std::string recipe = pipeline::to_json(small_recipe());
    const auto write_resnet34 = [&](const char* name, int64_t base_width) {
        const net::ResNet34Spec spec{.channels = 1, .base_width = base_width, .sex_input = true};
        io::write_model((folder / name).string(), {spec, recipe, false, "For tests."},
                        initial_weights(net::resnet34(spec), 1), io::StoredType::f32);
    };
    write_resnet34("resnet34.safetensors", 16);
    write_resnet34("wide_resnet34.safetensors", 64);
    io::write_model((folder / "unet.safetensors").string(), {kBrightSpec, recipe, false, "For tests."},
                    bright_weights(0.08F), io::StoredType::f32);
}

}  // namespace
}  // namespace boneage::testing

int main(int argc, char** argv) {
    try {
        boneage::testing::make_models(argc > 1 ? argv[1] : ".");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
