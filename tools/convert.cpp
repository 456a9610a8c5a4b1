// boneage convert: a model written anew, with numbers of another type or another card.
#include "engine/errors.h"
#include "engine/io/file.h"
#include "engine/io/model_file.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/overwriting.h"

#include <iostream>
#include <memory>

namespace boneage::tools {
namespace {

struct Options {
    std::string in;
    std::string out;
    io::StoredType type = io::StoredType::f16;
    std::string card_file;
};

ExitCode convert(const Options& options) {
    if (!options.card_file.empty()) {
        refuse_to_overwrite({"OUT", options.out}, {{"--card", options.card_file}});
    }
    const io::ModelFile model(options.in);
    io::ModelCard card = model.card();
    if (!options.card_file.empty()) {
        const io::MappedFile text(options.card_file);
        card.card.assign(reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size());
    }
    io::write_model(options.out, card, model.parameters(), options.type);
    std::cout << "Wrote " << options.out << ": " << io::type_name(card.architecture)
              << (card.trained ? "" : "; it is untrained, so its answers mean nothing") << ".\n";
    return ExitCode::all_well;
}

}  // namespace

void add_convert(CLI::App& program, Work& work) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = add_command(program, kModels, "convert",
                                    "Write a model anew: numbers of another type, or another card.\n\n"
                                    "Numbers are rounded to nearest even. f16 is half the size of f32.",
                                    "boneage convert run/resnet34.safetensors small.safetensors --type f16\n"
                                    "boneage convert run/unet.safetensors unet.safetensors --card CARD.md");
    command->add_option("in", options->in, "The model to read")->type_name("IN")->required();
    command->add_option("out", options->out, "The file to write; replaced when it exists")
        ->type_name("OUT")
        ->required();
    const std::map<std::string, io::StoredType> types{
        {"f32", io::StoredType::f32}, {"f16", io::StoredType::f16}, {"bf16", io::StoredType::bf16}};
    command->add_option("--type", options->type, "f32, f16 or bf16 (default f16)")
        ->type_name("TYPE")
        ->transform(one_word_of(types));
    command->add_option("--card", options->card_file, "A text file that becomes the model's card")->type_name("FILE");
    command->final_callback([options, &work] { work = [options] { return convert(*options); }; });
}

}  // namespace boneage::tools
