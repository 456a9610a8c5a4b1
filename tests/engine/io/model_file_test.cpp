#include "engine/io/model_file.h"

#include "engine/net/parameters.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>

namespace boneage::io {
namespace {

using testing::error_of;
using testing::Folder;

const Architecture kSmallUnet = net::UnetSpec{.channels = 1, .depth = 1, .base_width = 2, .outputs = 1};

// The tensors and the metadata of a small model, to be spoilt before they are written.
struct Parts {
    std::map<std::string, std::vector<std::byte>> data;
    std::vector<StoredTensor> tensors;
    Metadata metadata{{"format", "boneage-1"},
                      {"architecture", to_json(kSmallUnet)},
                      {"recipe", "{}"},
                      {"trained", "true"},
                      {"card", "for tests"}};

    Parts() {
        for (const net::Parameter& parameter : net::parameters(graph_of(kSmallUnet))) {
            const bool count = parameter.kind == net::ParameterKind::batches_tracked;
            add(parameter.name, count ? StoredType::i64 : StoredType::f32, parameter.shape,
                net::initial_values(parameter, 3));
        }
    }
    void add(const std::string& name, StoredType type, std::vector<int64_t> shape, const std::vector<float>& values) {
        data[name] = from_float32(type, values);
        tensors.push_back({name, type, std::move(shape), data[name]});
    }
    StoredTensor& at(const std::string& name) {
        return *std::find_if(tensors.begin(), tensors.end(), [&](const StoredTensor& t) { return t.name == name; });
    }
    void remove(const std::string& name) {
        std::erase_if(tensors, [&](const StoredTensor& t) { return t.name == name; });
    }
};

class ModelFileTest : public ::testing::Test {
protected:
    std::string refusal(const Parts& parts) {
        const std::string path = (folder_ / "model.safetensors").string();
        write_safetensors(path, parts.tensors, parts.metadata);
        return error_of<UsageError>([&] { const ModelFile model(path); });
    }
    void expect_refused(const Parts& parts, const std::string& because) {
        const std::string why = refusal(parts);
        EXPECT_NE(why.find(because), std::string::npos) << why;
        EXPECT_NE(why.find("model.safetensors"), std::string::npos) << why;
    }

    Folder folder_;
};

TEST_F(ModelFileTest, what_is_written_is_read) {
    const std::string path = (folder_ / "model.safetensors").string();
    for (const Architecture& architecture :
         {kSmallUnet, Architecture(net::UnetSpec{.channels = 3, .depth = 2, .base_width = 4, .outputs = 2})}) {
        const net::Graph graph = graph_of(architecture);
        const plan::ParameterSource initial = initial_parameters(graph, 9);
        write_model(path, {architecture, "{\"any\": 1}", true, "free text"}, initial, StoredType::f32);
        const ModelFile model(path);
        EXPECT_EQ(model.card().architecture, architecture);
        EXPECT_EQ(model.card().recipe, "{\"any\": 1}");
        EXPECT_TRUE(model.card().trained);
        EXPECT_EQ(model.card().card, "free text");
        const plan::ParameterSource read = model.parameters();
        for (const net::Parameter& parameter : net::parameters(graph)) {
            EXPECT_EQ(read(parameter.name), initial(parameter.name)) << parameter.name;
        }
        EXPECT_THROW(read("nothing of that name"), ContractError);
    }
}

TEST_F(ModelFileTest, half_precision_rounds_the_values_and_keeps_the_counters) {
    const std::string path = (folder_ / "model.safetensors").string();
    const plan::ParameterSource initial = initial_parameters(graph_of(kSmallUnet), 9);
    for (const StoredType type : {StoredType::f16, StoredType::bf16}) {
        write_model(path, {kSmallUnet, "{}", false, ""}, initial, type);
        const ModelFile model(path);
        for (const StoredTensor& tensor : model.file().tensors()) {
            const bool counter = tensor.name.find("num_batches_tracked") != std::string::npos;
            EXPECT_EQ(tensor.type, counter ? StoredType::i64 : type) << tensor.name;
            if (!counter) {
                EXPECT_EQ(model.parameters()(tensor.name), to_float32(type, from_float32(type, initial(tensor.name))));
            }
        }
    }
}

TEST_F(ModelFileTest, the_seed_alone_decides_the_bytes) {
    const auto bytes = [&](uint64_t seed) {
        const std::string path = (folder_ / "seeded.safetensors").string();
        write_model(path, {kSmallUnet, "{}", false, ""}, initial_parameters(graph_of(kSmallUnet), seed),
                    StoredType::f32);
        return testing::read_text(path);
    };
    EXPECT_EQ(bytes(1), bytes(1));
    EXPECT_NE(bytes(1), bytes(2));
}

TEST_F(ModelFileTest, architectures_survive_json) {
    for (const Architecture& architecture :
         {Architecture(
              net::ResNet34Spec{.channels = 3, .base_width = 8, .sex_input = true, .hidden = 64, .outputs = 2}),
          Architecture(net::ResNet34Spec{}), Architecture(net::UnetSpec{}), kSmallUnet}) {
        EXPECT_EQ(architecture_from_json(to_json(architecture), "here"), architecture);
    }
}

TEST_F(ModelFileTest, a_resnet34_that_says_no_width_has_the_published_one) {
    EXPECT_EQ(
        architecture_from_json(R"({"type":"resnet34","channels":1,"sex_input":false,"hidden":0,"outputs":1})", "here"),
        Architecture(net::ResNet34Spec{}));
}

TEST_F(ModelFileTest, architectures_that_cannot_be_are_refused) {
    const auto why = [](const std::string& json) {
        return error_of<UsageError>([&] { architecture_from_json(json, "here"); });
    };
    EXPECT_EQ(why("[]"), "here is not a JSON object");
    EXPECT_EQ(why("{"), "here is not a JSON object");
    EXPECT_EQ(why(R"({"type":"vgg"})"), "here names a network \"vgg\"; resnet34 and unet are known");
    EXPECT_EQ(why(R"({"type":1})"), "here: \"type\" must be text");
    EXPECT_EQ(why(R"({"type":"unet","channels":1})"), "here lacks the key \"depth\"");
    EXPECT_EQ(why(R"({"type":"unet","channels":0,"depth":4,"base_width":16,"outputs":1})"),
              "here: \"channels\" must be a whole number from 1 to 3");
    EXPECT_EQ(why(R"({"type":"unet","channels":18446744073709551615,"depth":4,"base_width":16,"outputs":1})"),
              "here: \"channels\" must be a whole number from 1 to 3");
    EXPECT_EQ(why(R"({"type":"unet","channels":1,"depth":4,"base_width":16,"outputs":1,"x":0})"),
              "here has an unknown key \"x\"");
    EXPECT_EQ(why(R"({"type":"resnet34","channels":1,"base_width":0,"sex_input":true,"hidden":0,"outputs":1})"),
              "here: \"base_width\" must be a whole number from 1 to 128");
    EXPECT_EQ(why(R"({"type":"resnet34","channels":1,"sex_input":1,"hidden":0,"outputs":1})"),
              "here: \"sex_input\" must be true or false");
}

TEST_F(ModelFileTest, missing_surplus_and_misshapen_tensors_are_all_named) {
    Parts parts;
    ASSERT_EQ(refusal(parts), "(no error)");
    parts.remove("enc0.conv1.weight");
    parts.add("stray", StoredType::f32, {1}, {0});
    StoredTensor& bias = parts.at("head.bias");
    bias.shape = {1, 1};
    expect_refused(parts, "missing: enc0.conv1.weight");
    expect_refused(parts, "surplus: stray");
    expect_refused(parts, "head.bias ([1,1] instead of [1])");
}

TEST_F(ModelFileTest, long_lists_are_cut_and_counted) {
    Parts parts;
    const size_t all = parts.tensors.size();
    parts.tensors.clear();
    expect_refused(parts, " and " + std::to_string(all - 4) + " more");
}

TEST_F(ModelFileTest, types_must_suit_the_parameter) {
    Parts parts;
    const net::Parameter counter{"enc0.bn1.num_batches_tracked", {}, net::ParameterKind::batches_tracked, 0};
    parts.remove(counter.name);
    parts.add(counter.name, StoredType::f32, {}, {0});
    expect_refused(parts, "enc0.bn1.num_batches_tracked (type F32)");
    for (const StoredType type : {StoredType::i64, StoredType::u8}) {
        Parts bytes;
        const StoredTensor weight = bytes.tensors.front();
        bytes.remove(weight.name);
        bytes.add(weight.name, type, weight.shape, std::vector<float>(static_cast<size_t>(weight.elements())));
        expect_refused(bytes, weight.name + " (type " + text(type) + ")");
    }
}

TEST_F(ModelFileTest, metadata_is_checked) {
    for (const char* key : {"format", "architecture", "recipe", "trained"}) {
        Parts parts;
        parts.metadata.erase(key);
        expect_refused(parts, "its metadata lacks \"" + std::string(key) + "\"");
    }
    Parts parts;
    parts.metadata.erase("card");
    EXPECT_EQ(refusal(parts), "(no error)");
    parts.metadata["trained"] = "yes";
    expect_refused(parts, "not \"yes\"");
    parts.metadata["format"] = "boneage-2";
    expect_refused(parts, "use a matching version of boneage");
}

// BONEAGE_WEIGHTS as it was before, whatever a test makes of it.
class DefaultModelTest : public ModelFileTest {
protected:
    DefaultModelTest() { ::setenv("BONEAGE_WEIGHTS", folder_.path().c_str(), 1); }
    ~DefaultModelTest() override { ::unsetenv("BONEAGE_WEIGHTS"); }
};

TEST_F(DefaultModelTest, is_looked_for_in_the_folder_of_the_environment_only) {
    const std::string path = (folder_ / "unet.safetensors").string();
    const std::string why = error_of<UsageError>([] { default_model("unet"); });
    EXPECT_NE(why.find(path), std::string::npos) << why;
    EXPECT_NE(why.find("boneage init unet"), std::string::npos) << why;
    folder_.write("unet.safetensors", "anything");
    EXPECT_EQ(default_model("unet"), path);
}

}  // namespace
}  // namespace boneage::io
