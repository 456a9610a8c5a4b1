#include "engine/eval/labels.h"
#include "engine/io/segmenter_mark.h"
#include "engine/onednn/backend.h"
#include "engine/pipeline/preparer.h"
#include "engine/train/age_cache.h"
#include "engine/train/cache_file.h"
#include "engine/train/contact_sheet.h"
#include "engine/train/images_by_id.h"
#include "engine/train/prepare.h"
#include "engine/train/prepare_workers.h"

#include <algorithm>
#include <set>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;

// One radiograph to prepare.
struct Job {
    eval::Label label;
    fs::path path;
};

// What became of it.
struct Prepared {
    pipeline::Result result;
    HostImage<uint8_t> picture;  // where the result is ok
    HostImage<uint8_t> before;
};

// The labels that have an image; everything else is an exclusion.
std::vector<Job> find_jobs(const PrepareOptions& options, Exclusions& exclusions) {
    const eval::LabelTable labels = eval::read_labels(*options.labels);
    for (const std::string& sentence : labels.exclusions) {
        exclusions.add({"", options.labels->string(), "bad_label", sentence, false});
    }
    if (options.restore_aspect &&
        std::ranges::none_of(labels.rows, [](const eval::Label& label) { return original_size(label).has_value(); })) {
        throw UsageError(options.labels->string() +
                         " has no original sizes to restore the aspect from: name them orig_width and orig_height");
    }
    const ImagesById images = find_images(options.data, {options.folder}, exclusions);
    std::vector<Job> jobs;
    std::set<std::string_view> labelled;
    for (const eval::Label& label : labels.rows) {
        labelled.insert(label.id);
        const auto image = images.find(label.id);
        if (image == images.end()) {
            exclusions.add({label.id, "", "no_image", "the label \"" + label.id + "\" has no image", false});
        } else if (!is_utf8(label.id)) {
            exclusions.add({label.id, image->second.string(), "bad_id",
                            "the id of " + image->second.string() + " is not UTF-8", true});
        } else if (options.restore_aspect && !original_size(label)) {
            exclusions.add({label.id, image->second.string(), "no_original_size",
                            "the label \"" + label.id + "\" has no original size to restore the aspect from", false});
        } else {
            jobs.push_back({label, image->second});
        }
    }
    for (const auto& [id, path] : images) {
        if (!labelled.contains(id)) {
            exclusions.add({id, path.string(), "no_label", path.string() + " has no label that can be used", false});
        }
    }
    return jobs;
}

class AgeWorker {
public:
    explicit AgeWorker(const PrepareOptions& options)
        : restore_aspect_(options.restore_aspect),
          input_(options.recipe.input),
          backend_(onednn::make_backend({})),
          preparer_(options.recipe, 1, options.segmenter, *backend_) {}

    Prepared operator()(const Job& job) {
        Prepared prepared;
        prepared.result = pipeline::guarded([&] {
            decoder_.decode(job.path, image_);
            const auto true_size = restore_aspect_ ? original_size(job.label) : std::nullopt;
            prepared.before = thumbnail_of(workers_, image_, true_size);
            pipeline::Result result = preparer_.prepare(image_, true_size);
            if (result.status == pipeline::Status::ok) {
                prepared.picture.reshape(input_.height, input_.width);
                preparer_.picture(prepared.picture.view());
            }
            return result;
        });
        return prepared;
    }

private:
    bool restore_aspect_;
    pipeline::Recipe::Input input_;
    std::unique_ptr<plan::Backend> backend_;
    pipeline::Preparer preparer_;
    Workers workers_{1};
    io::ImageDecoder decoder_;
    io::DecodedImage image_;
};

}  // namespace

PrepareReport prepare_ages(const PrepareOptions& options, const PrepareWatcher& watcher,
                           const std::atomic<bool>& stop) {
    PrepareReport report;
    pipeline::validate(options.recipe);
    const std::vector<Job> jobs = find_jobs(options, report.exclusions);
    report.total = jobs.size();
    std::vector<eval::Label> labels;
    std::string source = std::to_string(jobs.size()) + " labelled radiographs of";
    labels.reserve(jobs.size());
    for (const Job& job : jobs) {
        labels.push_back(job.label);
    }
    for (const fs::path& each : options.data) {
        source.append(" ").append(each.string());
    }
    source += ", labels " + options.labels->string() +
              (options.segmenter ? ", hands found " + io::segmenter_text(options.segmenter_mark) : ", whole images") +
              (options.restore_aspect ? ", aspect restored" : "");
    fs::create_directories(options.folder);
    AgeCacheWriter cache((options.folder / kAgeCacheName).string(), options.recipe, source, labels,
                         options.segmenter ? options.segmenter_mark : std::string(io::kNoSegmenter));

    const std::vector<size_t> shown = evenly_spread(jobs.size(), kSheetPairs);
    std::vector<SheetPair> sheet;
    std::vector<SheetPair> rejected;
    size_t next = 0;
    Workers one_thread(1);
    const auto done = prepare_in_order<Prepared>(
        jobs, options.workers, stop, [&] { return AgeWorker(options); },
        [&](const Prepared& prepared) {
            const size_t index = next++;
            const Job& job = jobs[index];
            const bool ok = prepared.result.status == pipeline::Status::ok;
            const auto pair = [&] {
                SheetPair made{job.label.id, copy_of(prepared.before), std::nullopt, std::nullopt};
                if (ok) {
                    const Image<const uint8_t, Host> picture = prepared.picture.view();
                    made.after = thumbnail<uint8_t>(one_thread, picture, {picture.height, picture.width});
                }
                return made;
            };
            if (std::ranges::binary_search(shown, index) && prepared.before.height() > 0) {
                sheet.push_back(pair());
            }
            if (ok) {
                cache.add(job.label, prepared.picture.view());
                return watcher(jobs.size(), nullptr);
            }
            if (prepared.before.height() > 0 && rejected.size() < kSheetPairs) {
                rejected.push_back(pair());
            }
            report.exclusions.add(exclusion_of(job.label.id, job.path, prepared.result));
            watcher(jobs.size(), &report.exclusions.all().back());
        });
    report.prepared = static_cast<size_t>(cache.count());
    report.stopped = done < jobs.size();
    if (report.stopped) {
        return report;
    }
    finish(options.folder, report, sheet, rejected);
    cache.commit();
    return report;
}

}  // namespace boneage::train
