// boneage inspect: says what a weights file holds, for people or as JSON.
#include "engine/errors.h"
#include "engine/io/segmenter_mark.h"
#include "engine/net/parameters.h"
#include "tools/commands.h"
#include "tools/options.h"

#include <iomanip>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

namespace boneage::tools {
namespace {

using nlohmann::ordered_json;

struct InspectOptions {
    std::string file;
    bool json = false;
    bool tensors = false;
};

std::string checksum_text(const io::SafetensorsFile& file) {
    std::ostringstream text;
    text << std::hex << std::setw(8) << std::setfill('0') << file.checksum();
    return text.str();
}

// "218 (182 F32, 36 I64)"
std::string counts(const io::SafetensorsFile& file) {
    std::map<std::string, int> by_type;
    for (const io::StoredTensor& tensor : file.tensors()) {
        ++by_type[io::text(tensor.type)];
    }
    std::string text;
    for (const auto& [type, count] : by_type) {
        text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + type;
    }
    return std::to_string(file.tensors().size()) + (text.empty() ? "" : " (" + text + ")");
}

int64_t data_bytes(const io::SafetensorsFile& file) {
    int64_t bytes = 0;
    for (const io::StoredTensor& tensor : file.tensors()) {
        bytes += static_cast<int64_t>(tensor.bytes.size());
    }
    return bytes;
}

ordered_json as_json(const io::SafetensorsFile& file, const std::optional<io::ModelCard>& model) {
    ordered_json result;
    result["file"] = file.path();
    result["file_bytes"] = file.file_bytes();
    result["data_bytes"] = data_bytes(file);
    result["crc32"] = checksum_text(file);
    if (model) {
        result["architecture"] = ordered_json::parse(io::to_json(model->architecture));
        result["trained"] = model->trained;
        result["parameters"] = net::parameter_count(io::graph_of(model->architecture));
        const ordered_json recipe = ordered_json::parse(model->recipe, nullptr, false);
        result["recipe"] = recipe.is_discarded() ? ordered_json(model->recipe) : recipe;
        result["segmenter"] = model->segmenter ? ordered_json(*model->segmenter) : ordered_json(nullptr);
        result["card"] = model->card;
    } else {
        result["metadata"] = file.metadata();
    }
    result["tensors"] = ordered_json::array();
    for (const io::StoredTensor& tensor : file.tensors()) {
        result["tensors"].push_back({{"name", tensor.name},
                                     {"dtype", io::text(tensor.type)},
                                     {"shape", tensor.shape},
                                     {"bytes", tensor.bytes.size()}});
    }
    return result;
}

void print_text(const io::SafetensorsFile& file, const std::optional<io::ModelCard>& model, bool with_tensors) {
    const auto line = [](const char* label, const std::string& value) {
        std::cout << std::left << std::setw(14) << label << value << '\n';
    };
    line("file", file.path() + " (" + std::to_string(file.file_bytes()) + " bytes, crc32 " + checksum_text(file) + ")");
    if (model) {
        line("architecture", io::to_json(model->architecture));
        line("trained", model->trained ? "yes" : "no: its values are initial ones, and what it answers means nothing");
        line("parameters", std::to_string(net::parameter_count(io::graph_of(model->architecture))) + " trainable");
        if (std::holds_alternative<net::ResNet34Spec>(model->architecture)) {
            line("segmenter", model->segmenter ? "trained " + io::segmenter_text(*model->segmenter)
                                               : "not known with which one it was trained");
        }
        line("card", model->card);
    } else {
        line("model", "none: tensors without a boneage architecture and recipe");
    }
    line("tensors", counts(file) + ", " + std::to_string(data_bytes(file)) + " bytes");
    if (with_tensors) {
        for (const io::StoredTensor& tensor : file.tensors()) {
            std::cout << "  " << std::left << std::setw(40) << tensor.name << std::setw(6) << io::text(tensor.type)
                      << std::setw(20) << ordered_json(tensor.shape).dump() << tensor.bytes.size() << " bytes\n";
        }
    }
    if (model) {
        std::cout << "recipe\n" << model->recipe << '\n';
    } else {
        for (const auto& [key, value] : file.metadata()) {
            line(key.c_str(), value);
        }
    }
}

ExitCode inspect(const InspectOptions& options) {
    const io::SafetensorsFile file(options.file);
    std::optional<io::ModelCard> model;
    if (io::claims_to_be_model(file)) {
        model = io::ModelFile(options.file).card();
    }
    if (options.json) {
        std::cout << as_json(file, model).dump(2) << '\n';
    } else {
        print_text(file, model, options.tensors);
    }
    return ExitCode::all_well;
}

}  // namespace

void add_inspect(CLI::App& program, Work& work) {
    const auto options = std::make_shared<InspectOptions>();
    CLI::App* command =
        add_command(program, kModels, "inspect", "Say what a weights file holds, after checking all of it",
                    "boneage inspect weights/resnet34.safetensors\n"
                    "boneage inspect unet.safetensors --tensors\n"
                    "boneage inspect unet.safetensors --json");
    command->add_option("file", options->file, "A weights file (safetensors)")->type_name("FILE")->required();
    command->add_flag("--json", options->json, "One JSON object, with every tensor");
    command->add_flag("--tensors", options->tensors, "Also list every tensor: name, type, shape, bytes");
    command->final_callback([options, &work] { work = [options] { return inspect(*options); }; });
}

}  // namespace boneage::tools
