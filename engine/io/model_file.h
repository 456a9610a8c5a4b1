// A model in one file: which network, with which weights, used how. The file is safetensors; its metadata holds the
// rest.
//
//   format        "boneage-1"
//   architecture  JSON: {"type": "resnet34", "channels": 1, "base_width": 64, "sex_input": true, "hidden": 0,
//                 "outputs": 1}, base_width 64 where it is not said, or
//                 {"type": "unet", "channels": 1, "depth": 4, "base_width": 16, "outputs": 1}
//   recipe        JSON text that engine/pipeline reads: how a radiograph becomes this network's input
//   trained       "true" or "false": whether anything was learned, or the values are initial ones
//   card          free text for people: data, terms, figures, limits
//   segmenter     of a network that was trained on hands: which segmenter found them (segmenter_mark.h); may be missing
//
// Tensors have the names and shapes of net::parameters(); weights/README.md lists them.
#pragma once

#include "engine/io/safetensors.h"
#include "engine/net/graph.h"
#include "engine/plan/parameters.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace boneage::io {

using Architecture = std::variant<net::ResNet34Spec, net::UnetSpec>;

const char* type_name(const Architecture& architecture);  // "resnet34" or "unet"
net::Graph graph_of(const Architecture& architecture);
std::string to_json(const Architecture& architecture);
// Throws UsageError naming `where` when a key is missing, unknown or out of its range.
Architecture architecture_from_json(const std::string& text, const std::string& where);

struct ModelCard {
    Architecture architecture;
    std::string recipe = "{}";
    bool trained = false;
    std::string card;
    std::optional<std::string> segmenter = std::nullopt;  // nothing where it is not known
};

// Whether the file says which network it holds; ModelFile checks the claim.
bool claims_to_be_model(const SafetensorsFile& file);

// A model file opened and checked. Move-only.
class ModelFile {
public:
    // Throws UsageError when the file is no model, or when tensors are missing, surplus or of another shape: the
    // message names the first few of each and counts the rest.
    explicit ModelFile(const std::string& path);

    [[nodiscard]] const ModelCard& card() const { return card_; }
    [[nodiscard]] const SafetensorsFile& file() const { return file_; }
    // Reads tensors by name as float32. Valid as long as this object.
    [[nodiscard]] plan::ParameterSource parameters() const;

private:
    SafetensorsFile file_;
    ModelCard card_;
};

// Writes a model with all its tensors, in the order of net::parameters(), taking values from `source`. Floating tensors
// are stored as `type` (f32, f16 or bf16; rounded to nearest even), counters as i64.
void write_model(const std::string& path, const ModelCard& card, const plan::ParameterSource& source, StoredType type);

// Values a new network starts from (net::initial_values), for write_model().
plan::ParameterSource initial_parameters(const net::Graph& graph, uint64_t seed);

// The path of the model called `name` ("resnet34", "unet"): in $BONEAGE_WEIGHTS where set, else in the folder `weights`
// beside the sources this program was built in or installed with (found from the executable's own place). Throws
// UsageError saying where it looked and how to make one.
std::string default_model(const std::string& name);

}  // namespace boneage::io
