#include "engine/eval/labels.h"
#include "engine/io/file_list.h"
#include "engine/pipeline/preparer.h"
#include "engine/train/annotations.h"
#include "engine/train/cache_file.h"
#include "engine/train/images_by_id.h"
#include "engine/train/mask_cache.h"
#include "engine/train/prepare.h"
#include "engine/train/prepare_workers.h"

#include <algorithm>
#include <cstdlib>
#include <map>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;

// Where a mask comes from: a picture, or polygons.
struct MaskSource {
    fs::path path;
    std::optional<Annotation> drawn;
};
using MasksById = std::map<std::string, MaskSource>;

struct Job {
    std::string id;
    fs::path image;
    MaskSource mask;
    std::optional<ImageSize> true_size;
};

struct Prepared {
    pipeline::Result result;
    HostImage<uint8_t> picture, mask;  // where the result is ok
    HostImage<uint8_t> before;
};

bool is_json(const fs::path& path) {
    return path.extension() == ".json";
}

void add_mask(MasksById& masks, const std::string& id, MaskSource source, Exclusions& exclusions) {
    const std::string path = source.path.string();
    if (const auto [first, added] = masks.emplace(id, std::move(source)); !added) {
        exclusions.add({id, path, "duplicate_mask",
                        path + " has a mask for the image of " + first->second.path.string() + ", which is used",
                        false});
    }
}

MasksById find_masks(const fs::path& folder, bool only_json, const std::optional<std::string>& label,
                     Exclusions& exclusions) {
    const auto wanted = [only_json](const fs::path& path) {
        return is_json(path) || (!only_json && io::has_image_extension(path));
    };
    MasksById masks;
    for (const io::Input& input : io::list_inputs({folder}, {wanted, "mask: PNG, BMP, or JSON of LabelMe or COCO"})) {
        try {
            if (input.error) {
                throw *input.error;
            }
            if (!is_json(input.source)) {
                add_mask(masks, input.source.stem().string(), {input.source, std::nullopt}, exclusions);
                continue;
            }
            for (Annotation& drawn : read_annotations(input.source, label)) {
                const std::string id = drawn.id;
                add_mask(masks, id, {input.source, std::move(drawn)}, exclusions);
            }
        } catch (const InputError& error) {
            exclusions.add({"", input.source.string(), error.code(), error.what(), true});
        }
    }
    return masks;
}

// Whether the images lie in the folder of the masks, as LabelMe leaves them: its pictures then are images, not masks.
bool images_among_masks(const PrepareOptions& options) {
    return std::ranges::any_of(options.data, [&](const fs::path& data) {
        std::error_code ignored;
        return fs::equivalent(data, *options.masks, ignored);
    });
}

std::vector<Job> find_jobs(const PrepareOptions& options, Exclusions& exclusions) {
    std::map<std::string, ImageSize> sizes;
    if (options.labels) {
        for (const eval::Label& label : eval::read_labels(*options.labels).rows) {
            if (const auto size = original_size(label)) {
                sizes[label.id] = *size;
            }
        }
    }
    const bool together = images_among_masks(options);
    const MasksById masks = find_masks(*options.masks, together, options.mask_label, exclusions);
    std::vector<fs::path> aside{options.folder};
    if (!together) {
        aside.push_back(*options.masks);
    }
    const ImagesById images = find_images(options.data, aside, exclusions);
    std::vector<Job> jobs;
    for (const auto& [id, mask] : masks) {
        const auto image = images.find(id);
        const std::string source = mask.path.string();
        if (image == images.end()) {
            exclusions.add(
                {id, source, "no_image", "the mask of \"" + id + "\" in " + source + " has no image", false});
        } else if (mask.drawn && mask.drawn->error) {
            exclusions.add({id, source, mask.drawn->error->code(), mask.drawn->error->what(), true});
        } else if (!is_utf8(id)) {
            exclusions.add({id, source, "bad_id", "the id of " + source + " is not UTF-8", true});
        } else {
            const auto size = sizes.find(id);
            jobs.push_back(
                {id, image->second, mask, size == sizes.end() ? std::nullopt : std::optional<ImageSize>(size->second)});
        }
    }
    for (const auto& [id, path] : images) {
        if (!masks.contains(id)) {
            exclusions.add({id, path.string(), "no_mask", path.string() + " has no mask", false});
        }
    }
    return jobs;
}

class MaskWorker {
public:
    explicit MaskWorker(const PrepareOptions& options) : recipe_(options.recipe), preparer_(options.recipe, 1) {}

    Prepared operator()(const Job& job) {
        Prepared prepared;
        prepared.result = pipeline::guarded([&] {
            decoder_.decode(job.image, image_);
            prepared.before = thumbnail_of(workers_, image_, job.true_size);
            const ImageSize own{image_.height(), image_.width()};
            const HostImage<uint8_t> mask = read_mask(job, own);
            const ImageSize size = working_size(job.true_size.value_or(own));
            check(job, {mask.height(), mask.width()}, own, size);
            pipeline::Result result = preparer_.segmenter_picture(image_, job.true_size, prepared.picture);
            if (result.status == pipeline::Status::ok) {
                prepared.mask.reshape(size.height, size.width);
                resize<uint8_t>(workers_, one<const uint8_t>(mask.view()), one(prepared.mask.view()),
                                ResizeFilter::area);
                require_some(job, prepared.mask);
            }
            return result;
        });
        return prepared;
    }

private:
    [[nodiscard]] ImageSize working_size(ImageSize shape) const {
        const ImageSize canvas = pipeline::canvas_size(shape.height, shape.width, recipe_.canvas);
        return pipeline::segment_size(canvas.height, canvas.width, recipe_.segment);
    }

    // 255 inside, at the mask's own size.
    HostImage<uint8_t> read_mask(const Job& job, ImageSize image) {
        if (job.mask.drawn) {
            const Annotation& drawn = *job.mask.drawn;
            HostImage<uint8_t> mask(drawn.height > 0 ? drawn.height : image.height,
                                    drawn.width > 0 ? drawn.width : image.width);
            std::fill_n(mask.view().data, mask.view().pixels(), uint8_t{0});
            for (const std::vector<Ring>& polygon : drawn.polygons) {
                fill_polygon(polygon, mask.view());
            }
            return mask;
        }
        decoder_.decode(job.mask.path, mask_);
        if (mask_.format == io::ImageFormat::jpeg) {
            throw InputError("mask_format",
                             job.mask.path.string() + " is a JPEG, whose pixels are blurred: store " + "masks as PNG");
        }
        HostImage<uint8_t> mask(mask_.height(), mask_.width());
        std::visit(
            [&](const auto& pixels) {
                std::transform(pixels.view().data, pixels.view().data + pixels.view().pixels(), mask.view().data,
                               [](auto value) { return value != 0 ? uint8_t{255} : uint8_t{0}; });
            },
            mask_.pixels);
        return mask;
    }

    // A mask has the pixels of its image, or the shape that the image has once its aspect is restored.
    void check(const Job& job, ImageSize mask, ImageSize image, ImageSize working) const {
        const ImageSize shape = working_size(mask);
        const auto near = [](int64_t a, int64_t b) { return std::abs(a - b) <= 1; };
        if (mask == image || (near(shape.height, working.height) && near(shape.width, working.width))) {
            return;
        }
        const auto text = [](ImageSize size) { return std::to_string(size.width) + "x" + std::to_string(size.height); };
        throw InputError(
            "mask_size",
            "the mask in " + job.mask.path.string() + " is " + text(mask) + ", and the image " + job.image.string() +
                " " + text(image) + ", of another shape" +
                (job.true_size ? "" : ": was it squashed? --labels with orig_width and orig_height tells"));
    }

    static void require_some(const Job& job, const HostImage<uint8_t>& mask) {
        constexpr uint8_t kHalf = 128;
        const uint8_t* pixels = mask.view().data;
        if (std::none_of(pixels, pixels + mask.view().pixels(), [](uint8_t value) { return value >= kHalf; })) {
            throw InputError("empty_mask", "the mask of \"" + job.id + "\" in " + job.mask.path.string() + " is empty");
        }
    }

    pipeline::Recipe recipe_;
    pipeline::Preparer preparer_;
    Workers workers_{1};
    io::ImageDecoder decoder_;
    io::DecodedImage image_, mask_;
};

}  // namespace

PrepareReport prepare_masks(const PrepareOptions& options, const PrepareWatcher& watcher,
                            const std::atomic<bool>& stop) {
    PrepareReport report;
    pipeline::validate(options.recipe);
    const std::vector<Job> jobs = find_jobs(options, report.exclusions);
    report.total = jobs.size();
    MaskCacheWriter cache;
    const std::vector<size_t> shown = evenly_spread(jobs.size(), kSheetPairs);
    std::vector<SheetPair> sheet;
    std::vector<SheetPair> rejected;
    size_t next = 0;
    Workers one_thread(1);
    const auto done = prepare_in_order<Prepared>(
        jobs, options.workers, stop, [&] { return MaskWorker(options); },
        [&](const Prepared& prepared) {
            const size_t index = next++;
            const Job& job = jobs[index];
            const bool has_picture = prepared.before.height() > 0;
            if (prepared.result.status == pipeline::Status::ok) {
                const Image<const uint8_t, Host> picture = prepared.picture.view();
                const ImageSize size{picture.height, picture.width};
                cache.add(job.id, picture, prepared.mask.view());
                if (std::ranges::binary_search(shown, index)) {
                    sheet.push_back({job.id, copy_of(prepared.before), thumbnail<uint8_t>(one_thread, picture, size),
                                     thumbnail<uint8_t>(one_thread, prepared.mask.view(), size)});
                }
                return watcher(jobs.size(), nullptr);
            }
            if (has_picture && rejected.size() < kSheetPairs) {
                rejected.push_back({job.id, copy_of(prepared.before), std::nullopt, std::nullopt});
            }
            report.exclusions.add(exclusion_of(job.id, job.image, prepared.result));
            watcher(jobs.size(), &report.exclusions.all().back());
        });
    report.prepared = static_cast<size_t>(cache.count());
    report.stopped = done < jobs.size();
    if (report.stopped) {
        return report;
    }
    fs::create_directories(options.folder);
    finish(options.folder, report, sheet, rejected);
    const std::string source = std::to_string(report.prepared) + " masks of " + options.masks->string();
    cache.write((options.folder / kMaskCacheName).string(), options.recipe, source);
    return report;
}

}  // namespace boneage::train
