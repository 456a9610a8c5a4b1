#include "engine/io/model_file.h"

#include "engine/net/parameters.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

namespace boneage::io {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "boneage-1";
constexpr size_t kNamesListed = 4;

// Reads an object's keys one by one, and knows in the end which were never asked for.
class Fields {
public:
    Fields(const std::string& text, std::string where) : where_(std::move(where)) {
        values_ = json::parse(text, nullptr, false);
        if (!values_.is_object()) {
            throw UsageError(where_ + " is not a JSON object");
        }
    }

    [[nodiscard]] bool has(const char* key) const { return values_.contains(key); }
    std::string take_text(const char* key) {
        const json value = take(key);
        if (!value.is_string()) {
            throw UsageError(where_ + ": \"" + key + "\" must be text");
        }
        return value.get<std::string>();
    }
    bool take_flag(const char* key) {
        const json value = take(key);
        if (!value.is_boolean()) {
            throw UsageError(where_ + ": \"" + key + "\" must be true or false");
        }
        return value.get<bool>();
    }
    int64_t take_number(const char* key, int64_t low, int64_t high) {
        const json value = take(key);
        if (!value.is_number_integer() || value.get<int64_t>() < low || value.get<int64_t>() > high) {
            throw UsageError(where_ + ": \"" + key + "\" must be a whole number from " + std::to_string(low) + " to " +
                             std::to_string(high));
        }
        return value.get<int64_t>();
    }
    void expect_no_more() const {
        if (!values_.empty()) {
            throw UsageError(where_ + " has an unknown key \"" + values_.begin().key() + "\"");
        }
    }

private:
    json take(const char* key) {
        const auto found = values_.find(key);
        if (found == values_.end()) {
            throw UsageError(where_ + " lacks the key \"" + key + "\"");
        }
        json value = *found;
        values_.erase(found);
        return value;
    }

    std::string where_;
    json values_;
};

std::string shape_text(const std::vector<int64_t>& shape) {
    return json(shape).dump();
}

// "a, b, c and 7 more"
std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), kNamesListed); ++i) {
        text += (i == 0 ? "" : ", ") + names[i];
    }
    if (names.size() > kNamesListed) {
        text += " and " + std::to_string(names.size() - kNamesListed) + " more";
    }
    return text;
}

void check_tensors(const SafetensorsFile& file, const net::Graph& graph) {
    std::vector<std::string> missing;
    std::vector<std::string> mismatched;
    std::map<std::string, bool> known;
    for (const net::Parameter& parameter : net::parameters(graph)) {
        known[parameter.name] = true;
        const StoredTensor* tensor = file.find(parameter.name);
        if (tensor == nullptr) {
            missing.push_back(parameter.name);
        } else if (tensor->shape != parameter.shape) {
            mismatched.push_back(parameter.name + " (" + shape_text(tensor->shape) + " instead of " +
                                 shape_text(parameter.shape) + ")");
        } else if (parameter.kind == net::ParameterKind::batches_tracked ? tensor->type != StoredType::i64
                                                                         : !is_floating(tensor->type)) {
            mismatched.push_back(parameter.name + " (type " + text(tensor->type) + ")");
        }
    }
    std::vector<std::string> surplus;
    for (const StoredTensor& tensor : file.tensors()) {
        if (!known.contains(tensor.name)) {
            surplus.push_back(tensor.name);
        }
    }
    std::string problems;
    const auto add = [&](const char* what, const std::vector<std::string>& names) {
        if (!names.empty()) {
            problems += std::string(problems.empty() ? "" : "; ") + what + " " + listed(names);
        }
    };
    add("missing:", missing);
    add("of another shape or type:", mismatched);
    add("surplus:", surplus);
    if (!problems.empty()) {
        throw UsageError(file.path() + " does not hold the tensors of its " + graph.name + ": " + problems);
    }
}

ModelCard read_card(const SafetensorsFile& file) {
    const auto entry = [&](const char* key) {
        const std::string* found = file.metadata(key);
        if (found == nullptr) {
            throw UsageError(file.path() + " is not a boneage model: its metadata lacks \"" + key + "\"");
        }
        return *found;
    };
    const std::string architecture = entry("architecture");
    if (entry("format") != kFormat) {
        throw UsageError(file.path() + " has format \"" + entry("format") + "\", this program reads \"" + kFormat +
                         "\": use a matching version of boneage");
    }
    ModelCard card;
    card.architecture = architecture_from_json(architecture, "the architecture in " + file.path());
    card.recipe = entry("recipe");
    const std::string trained = entry("trained");
    if (trained != "true" && trained != "false") {
        throw UsageError(file.path() + R"( must say "true" or "false" under "trained", not ")" + trained + "\"");
    }
    card.trained = trained == "true";
    if (const std::string* free_text = file.metadata("card")) {
        card.card = *free_text;
    }
    if (const std::string* segmenter = file.metadata("segmenter")) {
        card.segmenter = *segmenter;
    }
    return card;
}

}  // namespace

const char* type_name(const Architecture& architecture) {
    return std::holds_alternative<net::ResNet34Spec>(architecture) ? "resnet34" : "unet";
}

net::Graph graph_of(const Architecture& architecture) {
    struct Build {
        net::Graph operator()(const net::ResNet34Spec& spec) const { return net::resnet34(spec); }
        net::Graph operator()(const net::UnetSpec& spec) const { return net::unet(spec); }
    };
    return std::visit(Build{}, architecture);
}

std::string to_json(const Architecture& architecture) {
    struct Describe {
        nlohmann::ordered_json operator()(const net::ResNet34Spec& s) const {
            return {{"type", "resnet34"},       {"channels", s.channels}, {"base_width", s.base_width},
                    {"sex_input", s.sex_input}, {"hidden", s.hidden},     {"outputs", s.outputs}};
        }
        nlohmann::ordered_json operator()(const net::UnetSpec& s) const {
            return {{"type", "unet"},
                    {"channels", s.channels},
                    {"depth", s.depth},
                    {"base_width", s.base_width},
                    {"outputs", s.outputs}};
        }
    };
    return std::visit(Describe{}, architecture).dump();
}

Architecture architecture_from_json(const std::string& text, const std::string& where) {
    Fields fields(text, where);
    const std::string type = fields.take_text("type");
    Architecture architecture;
    if (type == "resnet34") {
        net::ResNet34Spec spec;
        spec.channels = fields.take_number("channels", 1, 3);
        if (fields.has("base_width")) {
            spec.base_width = fields.take_number("base_width", 1, 128);
        }
        spec.sex_input = fields.take_flag("sex_input");
        spec.hidden = fields.take_number("hidden", 0, 4096);
        spec.outputs = fields.take_number("outputs", 1, 4096);
        architecture = spec;
    } else if (type == "unet") {
        net::UnetSpec spec;
        spec.channels = fields.take_number("channels", 1, 3);
        spec.depth = fields.take_number("depth", 1, 7);
        spec.base_width = fields.take_number("base_width", 1, 128);
        spec.outputs = fields.take_number("outputs", 1, 64);
        architecture = spec;
    } else {
        throw UsageError(where + " names a network \"" + type + "\"; resnet34 and unet are known");
    }
    fields.expect_no_more();
    return architecture;
}

bool claims_to_be_model(const SafetensorsFile& file) {
    return file.metadata("architecture") != nullptr;
}

ModelFile::ModelFile(const std::string& path) : file_(path), card_(read_card(file_)) {
    check_tensors(file_, graph_of(card_.architecture));
}

plan::ParameterSource ModelFile::parameters() const {
    return [this](std::string_view name) {
        const StoredTensor* tensor = file_.find(name);
        if (tensor == nullptr) {
            throw ContractError("no tensor called " + std::string(name) + " in " + file_.path());
        }
        return to_float32(tensor->type, tensor->bytes);
    };
}

void write_model(const std::string& path, const ModelCard& card, const plan::ParameterSource& source, StoredType type) {
    expects(is_floating(type), "weights are floating-point numbers");
    const std::vector<net::Parameter> parameters = net::parameters(graph_of(card.architecture));
    std::vector<std::vector<std::byte>> storage;
    std::vector<StoredTensor> tensors;
    for (const net::Parameter& parameter : parameters) {
        const std::vector<float> values = source(parameter.name);
        expects(static_cast<int64_t>(values.size()) == parameter.size(), "a parameter must have the size of its shape");
        StoredTensor tensor{parameter.name, type, parameter.shape, {}};
        if (parameter.kind == net::ParameterKind::batches_tracked) {
            tensor.type = StoredType::i64;
        }
        tensor.bytes = storage.emplace_back(from_float32(tensor.type, values));
        tensors.push_back(std::move(tensor));
    }
    Metadata metadata{{"format", kFormat},
                      {"architecture", to_json(card.architecture)},
                      {"recipe", card.recipe},
                      {"trained", card.trained ? "true" : "false"},
                      {"card", card.card}};
    if (card.segmenter) {
        metadata["segmenter"] = *card.segmenter;
    }
    write_safetensors(path, tensors, metadata);
}

plan::ParameterSource initial_parameters(const net::Graph& graph, uint64_t seed) {
    std::map<std::string, net::Parameter, std::less<>> by_name;
    for (net::Parameter& parameter : net::parameters(graph)) {
        by_name[parameter.name] = std::move(parameter);
    }
    return [by_name = std::move(by_name), seed](std::string_view name) {
        const auto found = by_name.find(name);
        expects(found != by_name.end(), "the network has no such parameter");
        return net::initial_values(found->second, seed);
    };
}

std::string default_model(const std::string& name) {
    namespace fs = std::filesystem;
    std::vector<fs::path> folders;
    if (const char* chosen = std::getenv("BONEAGE_WEIGHTS"); chosen != nullptr && *chosen != '\0') {
        folders.emplace_back(chosen);
    } else {
        std::error_code error;
        const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
        folders = {program / "../../weights", program / "../share/boneage/weights", "weights"};
    }
    std::string searched;
    for (const fs::path& folder : folders) {
        const fs::path file = folder / (name + ".safetensors");
        std::error_code error;
        if (fs::is_regular_file(file, error)) {
            return file.lexically_normal().string();
        }
        searched += (searched.empty() ? "" : ", ") + file.lexically_normal().string();
    }
    throw UsageError("no " + name + " model was found (looked for " + searched +
                     "): name one, set BONEAGE_WEIGHTS to the folder that holds it, or make an untrained one with "
                     "boneage init " +
                     name + " -o " + name + ".safetensors");
}

}  // namespace boneage::io
