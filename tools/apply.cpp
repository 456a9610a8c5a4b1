// boneage apply: one stage of the pipeline on one picture.
#include "engine/pipeline/apply.h"

#include "engine/errors.h"
#include "engine/gpu.h"
#include "engine/io/image_file.h"
#include "engine/io/model_file.h"
#include "engine/io/png_write.h"
#include "engine/onednn/backend.h"
#include "tools/commands.h"
#include "tools/numbers.h"
#include "tools/options.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

namespace boneage::tools {
namespace {

using pipeline::Picture;

struct ApplyOptions {
    std::string in;
    std::string out;
    std::string size;
    std::string tiles = "8x8";
    std::string mask;
    std::string segmenter;
    std::string device = "auto";
    double threshold = 0.05;
    double background = 0.0;
    ResizeFilter filter = ResizeFilter::area;
    MorphologyParams morphology;
    ClaheParams clahe;
    SharpenParams sharpen;
};
using Shared = std::shared_ptr<ApplyOptions>;
using Operation = std::function<Picture(pipeline::Applier&, const Picture&, const ApplyOptions&)>;

Picture read(const std::string& path) {
    return io::decode_image(path).pixels;
}

// What applies stages on the CPU, with the back end that its segmenter needs.
struct CpuApplier {
    std::unique_ptr<plan::Backend> backend = onednn::make_backend({});
    std::unique_ptr<pipeline::Applier> applier = pipeline::make_applier(1, *backend);
};

std::shared_ptr<pipeline::Applier> applier_on(const std::string& device, session::GpuWork gpu_work) {
    if (const std::optional<int> gpu = choose_gpu(device, gpu_work)) {
        std::cerr << "computing on " << session::gpu_name(*gpu) << '\n';
        return session::make_gpu_applier(*gpu);
    }
    const auto cpu = std::make_shared<CpuApplier>();
    return {cpu, cpu->applier.get()};
}

// UsageError where OUT would be a file whose name hides that it is a PNG; a pipe or a device may be called anything.
void check_out(const std::string& out) {
    std::error_code ignored;
    const bool is_file = std::filesystem::is_regular_file(out, ignored) || !std::filesystem::exists(out, ignored);
    if (is_file && !out.ends_with(".png") && !out.ends_with(".PNG")) {
        throw UsageError("OUT " + out + " would be a PNG under another name; let it end in .png");
    }
}

ExitCode run_stage(const ApplyOptions& options, const Operation& operation, session::GpuWork gpu_work) {
    check_out(options.out);
    const auto applier = applier_on(options.device, gpu_work);
    const Picture result = operation(*applier, read(options.in), options);
    std::visit([&]<class P>(const HostImage<P>& image) { io::write_png<P>(options.out, image.view()); }, result);
    return ExitCode::all_well;
}

ExitCode print_contrast(const ApplyOptions& options) {
    const auto applier = applier_on(options.device, session::GpuWork::images);
    const Picture picture = read(options.in);
    const ContrastStats stats = applier->contrast(picture, options.threshold);
    nlohmann::ordered_json json;
    json["p1"] = stats.p1;
    json["p99"] = stats.p99;
    json["spread"] = stats.spread;
    json["threshold"] = options.threshold;
    json["low_contrast"] = stats.low != 0;
    std::cout << json.dump() << '\n';
    return ExitCode::all_well;
}

std::string size_text(const Picture& picture) {
    return std::visit(
        [](const auto& image) {
            return std::to_string(image.view().width) + "x" + std::to_string(image.view().height);
        },
        picture);
}

Picture overlay(pipeline::Applier& applier, const Picture& picture, const ApplyOptions& options) {
    const Picture mask = read(options.mask);
    const std::string wanted = size_text(picture);
    const std::string given = size_text(mask);
    if (wanted != given) {
        throw UsageError("--mask " + options.mask + " is " + given + " pixels (width x height), but " + options.in +
                         " is " + wanted + "; give a mask of that size, or scale it with boneage apply resize --size " +
                         wanted);
    }
    return applier.overlay(picture, mask, options.background);
}

Picture segment(pipeline::Applier& applier, const Picture& picture, const ApplyOptions& options) {
    const std::string path = options.segmenter.empty() ? io::default_model("unet") : options.segmenter;
    const io::ModelFile model(path);
    const auto* spec = std::get_if<net::UnetSpec>(&model.card().architecture);
    if (spec == nullptr) {
        throw UsageError(path + " holds a " + io::type_name(model.card().architecture) +
                         ", but --segmenter takes a unet");
    }
    if (!model.card().trained) {
        std::cerr << "WARNING: " << path << " is untrained: its masks mean nothing\n";
    }
    const pipeline::Recipe recipe = pipeline::recipe_from_json(model.card().recipe);
    return applier.segment(picture, {*spec, model.parameters()}, recipe);
}

// Adds a stage that reads IN and writes OUT; `gpu_work` is what a GPU does for it.
CLI::App& add_stage(CLI::App& apply_command, Work& work, const Shared& options, const char* heading, const char* name,
                    const char* description, const std::string& example, Operation operation,
                    session::GpuWork gpu_work = session::GpuWork::images) {
    CLI::App* stage = add_command(apply_command, heading, name, description,
                                  ("boneage apply " + std::string(name) + " " + example).c_str());
    stage->add_option("in", options->in, "The picture to read: PNG, JPEG or BMP")->type_name("IN")->required();
    stage->add_option("out", options->out, "The PNG to write, NAME.png, of 8 or 16 bits as IN has")
        ->type_name("OUT")
        ->required();
    add_device_option(*stage, options->device);
    stage->final_callback([options, &work, operation = std::move(operation), gpu_work] {
        work = [options, operation, gpu_work] { return run_stage(*options, operation, gpu_work); };
    });
    return *stage;
}

constexpr const char* kPictures = "Pictures";
constexpr const char* kMasks = "Masks (whatever is not black is inside)";

void add_contrast(CLI::App& command, Work& work, const Shared& options) {
    CLI::App* stage = add_command(command, kPictures, "contrast", "Print how far the pixel values spread, as JSON",
                                  "boneage apply contrast hand.png");
    stage->add_option("in", options->in, "The picture to read: PNG, JPEG or BMP")->type_name("IN")->required();
    stage->add_option("--threshold", options->threshold, "Below this share of the range a picture is nearly flat")
        ->check(number(0.0, 1.0))
        ->capture_default_str();
    add_device_option(*stage, options->device);
    stage->final_callback([options, &work] { work = [options] { return print_contrast(*options); }; });
}

void add_resize(CLI::App& command, Work& work, const Shared& options) {
    CLI::App& stage = add_stage(command, work, options, kPictures, "resize", "Scale to a size",
                                "hand.png out.png --size 384x512 --filter area",
                                [](pipeline::Applier& applier, const Picture& picture, const ApplyOptions& o) {
                                    return applier.resize(picture, size_of(o.size, "--size", 1, 65535), o.filter);
                                });
    stage.add_option("--size", options->size, "Width and height in pixels, the width first")
        ->type_name("WxH")
        ->required();
    const std::map<std::string, ResizeFilter> filters{{"area", ResizeFilter::area}, {"linear", ResizeFilter::linear}};
    stage.add_option("--filter", options->filter, "area or linear (default area)")
        ->type_name("FILTER")
        ->transform(one_word_of(filters));
}

void add_morphology(CLI::App& command, Work& work, const Shared& options) {
    const std::map<std::string, ElementShape> shapes{
        {"rect", ElementShape::rect}, {"cross", ElementShape::cross}, {"ellipse", ElementShape::ellipse}};
    const std::tuple<const char*, MorphologyOp, const char*> all[]{
        {"dilate", MorphologyOp::dilate, "Grow what is bright"},
        {"erode", MorphologyOp::erode, "Shrink what is bright"},
        {"open", MorphologyOp::open, "Erode, then dilate: remove bright specks"},
        {"close", MorphologyOp::close, "Dilate, then erode: fill dark specks"}};
    for (const auto& [name, op, description] : all) {
        CLI::App& stage = add_stage(
            command, work, options, kPictures, name, description, "mask.png out.png --element ellipse --size 15x15",
            [op = op](pipeline::Applier& applier, const Picture& picture, const ApplyOptions& o) {
                MorphologyParams params = o.morphology;
                params.op = op;
                if (!o.size.empty()) {
                    const ImageSize size = size_of(o.size, "--size", 1, 1023);
                    params.width = size.width;
                    params.height = size.height;
                }
                return applier.morphology(picture, params);
            });
        stage.add_option("--element", options->morphology.shape, "rect, cross or ellipse (default ellipse)")
            ->type_name("SHAPE")
            ->transform(one_word_of(shapes));
        stage.add_option("--size", options->size, "Width and height of the element, the width first (default 15x15)")
            ->type_name("WxH");
        stage.add_option("--iterations", options->morphology.iterations, "How often")
            ->type_name("N")
            ->check(whole_number(1, 1000))
            ->capture_default_str();
    }
}

void add_overlay(CLI::App& command, Work& work, const Shared& options) {
    CLI::App& stage = add_stage(command, work, options, kPictures, "overlay", "Keep the picture inside a mask only",
                                "hand.png out.png --mask mask.png", overlay);
    stage.add_option("--mask", options->mask, "A picture of the same size; whatever is not black is inside")
        ->type_name("FILE")
        ->required();
    stage.add_option("--background", options->background, "What is put outside, as a share of the range")
        ->check(number(0.0, 1.0))
        ->capture_default_str();
}

void add_clahe(CLI::App& command, Work& work, const Shared& options) {
    CLI::App& stage = add_stage(command, work, options, kPictures, "clahe", "Equalise contrast locally",
                                "hand.png out.png --clip-limit 2 --tiles 8x8",
                                [](pipeline::Applier& applier, const Picture& picture, const ApplyOptions& o) {
                                    ClaheParams params = o.clahe;
                                    const ImageSize tiles = size_of(o.tiles, "--tiles", 1, 256);
                                    params.tiles_x = tiles.width;
                                    params.tiles_y = tiles.height;
                                    return applier.clahe(picture, params);
                                });
    stage.add_option("--clip-limit", options->clahe.clip_limit, "Multiple of the mean bin count; 0 for no limit")
        ->check(number(0.0, 1e6))
        ->capture_default_str();
    stage.add_option("--tiles", options->tiles, "Tiles across and down")->type_name("WxH")->capture_default_str();
}

void add_sharpen(CLI::App& command, Work& work, const Shared& options) {
    CLI::App& stage = add_stage(command, work, options, kPictures, "sharpen", "Sharpen edges by a Laplacian",
                                "hand.png out.png --kernel unsharp --amount 0.25",
                                [](pipeline::Applier& applier, const Picture& picture, const ApplyOptions& o) {
                                    return applier.sharpen(picture, o.sharpen);
                                });
    const std::map<std::string, SharpenKernel> kernels{{"laplacian4", SharpenKernel::laplacian4},
                                                       {"laplacian8", SharpenKernel::laplacian8},
                                                       {"unsharp", SharpenKernel::unsharp}};
    stage.add_option("--kernel", options->sharpen.kernel, "laplacian4, laplacian8 or unsharp (default laplacian4)")
        ->type_name("KERNEL")
        ->transform(one_word_of(kernels));
    stage.add_option("--amount", options->sharpen.amount, "Strength of unsharp")
        ->check(number(0, 100))
        ->capture_default_str();
}

}  // namespace

void add_apply(CLI::App& program, Work& work) {
    const auto options = std::make_shared<ApplyOptions>();
    CLI::App* command = add_command(program, kScoring, "apply", "Run one stage of the pipeline on one picture",
                                    "boneage apply clahe hand.png out.png --clip-limit 2 --tiles 8x8\n"
                                    "boneage apply contrast hand.png");
    command->require_subcommand(1);
    add_contrast(*command, work, options);
    add_resize(*command, work, options);
    add_stage(*command, work, options, kPictures, "invert", "Turn bright to dark", "negative.png hand.png",
              [](pipeline::Applier& applier, const Picture& picture, const ApplyOptions&) {
                  return applier.invert(picture);
              });
    add_stage(
        *command, work, options, kMasks, "fill", "Close the holes of a mask", "mask.png out.png",
        [](pipeline::Applier& applier, const Picture& picture, const ApplyOptions&) { return applier.fill(picture); });
    add_stage(*command, work, options, kMasks, "largest", "Keep the largest component of a mask", "mask.png out.png",
              [](pipeline::Applier& applier, const Picture& picture, const ApplyOptions&) {
                  return applier.largest(picture);
              });
    add_morphology(*command, work, options);
    add_overlay(*command, work, options);
    add_clahe(*command, work, options);
    add_sharpen(*command, work, options);
    CLI::App& stage = add_stage(*command, work, options, kPictures, "segment", "Find the hand: a mask of the same size",
                                "hand.png mask.png", segment, session::GpuWork::networks);
    stage
        .add_option("--segmenter", options->segmenter,
                    "The model that finds it (default: unet.safetensors in $BONEAGE_WEIGHTS, else in weights/)")
        ->type_name("FILE");
}

}  // namespace boneage::tools
