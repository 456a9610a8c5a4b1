// What the two kinds of preparation share: workers with radiographs of their own, whose results come in order.
#pragma once

#include "engine/eval/labels.h"
#include "engine/io/image_file.h"
#include "engine/pipeline/guarded.h"
#include "engine/train/contact_sheet.h"
#include "engine/train/prepare.h"
#include "kernels/base/in_order.h"
#include "kernels/base/workers.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace boneage::train {

// Runs worker(job) -> Row for every job, each of `workers` threads (0: as many as processors) with a worker of its own
// that `make_worker` makes in that thread. `sink` gets the rows in the order of the jobs. Returns how many it got:
// fewer than there are jobs when `stop` became true. Rethrows what a worker or the sink threw.
template <class Row, class Job, class MakeWorker>
size_t prepare_in_order(const std::vector<Job>& jobs, int workers, const std::atomic<bool>& stop,
                        const MakeWorker& make_worker, const typename InOrder<Row>::Sink& sink) {
    constexpr size_t kWaitingPerWorker = 8;
    const size_t wanted = static_cast<size_t>(workers > 0 ? workers : available_processors());
    const size_t count = std::min(wanted, jobs.size());
    InOrder<Row> order(jobs.size(), 1, kWaitingPerWorker * count, sink, stop);
    {
        std::vector<std::jthread> threads;
        threads.reserve(count);
        for (size_t i = 0; i < count; ++i) {
            threads.emplace_back([&] {
                try {
                    auto worker = make_worker();
                    for (auto range = order.take(); !range.empty(); range = order.take()) {
                        order.give(range.begin, worker(jobs[range.begin]));
                    }
                } catch (...) {
                    order.fail(std::current_exception());
                }
            });
        }
    }
    return order.finish();
}

inline Exclusion exclusion_of(const std::string& id, const std::filesystem::path& path,
                              const pipeline::Result& result) {
    const std::string source = path.string();
    return {id, source, result.reason,
            result.message.find(source) != std::string::npos ? result.message : source + ": " + result.message,
            result.status == pipeline::Status::error};
}

// Nothing where the labels do not say.
inline std::optional<ImageSize> original_size(const eval::Label& label) {
    if (label.original_height < 1 || label.original_width < 1) {
        return std::nullopt;
    }
    return ImageSize{label.original_height, label.original_width};
}

inline HostImage<uint8_t> thumbnail_of(Workers& workers, const io::DecodedImage& image,
                                       const std::optional<ImageSize>& true_size) {
    const ImageSize shape = true_size.value_or(ImageSize{image.height(), image.width()});
    return std::visit([&]<class P>(const HostImage<P>& pixels) { return thumbnail<P>(workers, pixels.view(), shape); },
                      image.pixels);
}

// Writes what stands beside a cache. Throws UsageError when nothing is left for the cache itself; a list of what was
// left out that is there already, beside an older cache, then stays.
inline void finish(const std::filesystem::path& folder, const PrepareReport& report,
                   const std::vector<SheetPair>& sheet, const std::vector<SheetPair>& rejected) {
    const std::filesystem::path list = folder / "excluded.csv";
    if (report.prepared == 0) {
        const std::vector<Exclusion>& all = report.exclusions.all();
        std::string why = "no radiograph is left to train on";
        if (!all.empty()) {
            why += ": " + all.front().message;
        }
        if (all.size() > 1) {
            why += ", the first of " + std::to_string(all.size()) + " left out";
        }
        std::error_code ignored;
        if (!std::filesystem::exists(list, ignored)) {
            report.exclusions.write_csv(list);
            why += "; " + list.string() + " lists them all";
        }
        throw UsageError(why);
    }
    report.exclusions.write_csv(list);
    write_sheet(folder / "contact_sheet", sheet);
    write_sheet(folder / "excluded_sheet", rejected);
}

inline HostImage<uint8_t> copy_of(const HostImage<uint8_t>& image) {
    HostImage<uint8_t> copy(image.height(), image.width());
    std::copy_n(image.view().data, image.view().pixels(), copy.view().data);
    return copy;
}

}  // namespace boneage::train
