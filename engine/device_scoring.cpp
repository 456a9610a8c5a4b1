#include "engine/device_scoring.h"

#include "engine/io/image_file.h"
#include "engine/pipeline/guarded.h"
#include "engine/stage_pictures.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace boneage::session {
namespace {

using pipeline::guarded;
using pipeline::ImageBatch;
using pipeline::Result;
using Clock = std::chrono::steady_clock;

// Batches there are: two under way, one that is filled, and one for the other pixel type.
constexpr int kLoads = 4;

double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// An input's place in a batch.
struct Entry {
    size_t input = 0;
    double decode_ms = 0.0;
    std::optional<ImageSize> true_size;
};

struct Load {
    explicit Load(ImageBatch batch) : images(std::move(batch)) {}

    ImageBatch images;
    std::vector<Entry> entries;
    int filling = 0;      // images whose pixels are still being written
    bool closed = false;  // takes no more images
};

// Batches between the threads that fill them and the one that runs them. All functions may be called from any thread.
class Loads {
public:
    // `sources` threads will call put().
    Loads(const pipeline::DevicePipeline& pipeline, int sources) : sources_(sources) {
        for (int i = 0; i < kLoads; ++i) {
            loads_.push_back(std::make_unique<Load>(pipeline.make_batch()));
            free_.push_back(loads_.back().get());
        }
    }

    // Copies an image into a batch, waiting for one with room. False once the run is over. Throws OutOfDeviceMemory
    // when there is no room for the image even while no other batch takes any.
    bool put(const io::DecodedImage& image, const Entry& entry) {
        return std::visit([&]<class P>(const HostImage<P>& pixels) { return put<P>(pixels.view(), entry); },
                          image.pixels);
    }

    // No more images will come from one of the threads.
    void end_source() {
        const std::lock_guard lock(mutex_);
        --sources_;
        changed_.notify_all();
    }

    // The next batch to run. Waits only if `idle`; null when nothing is ready, or, if `idle`, when nothing will come.
    Load* next(bool idle) {
        std::unique_lock lock(mutex_);
        Load* found = nullptr;
        changed_.wait(lock, [&] {
            found = ready(idle || sources_ == 0);
            return found != nullptr || !idle || (sources_ == 0 && open_.empty());
        });
        if (found != nullptr) {
            found->closed = true;
            std::erase(open_, found);
        }
        return found;
    }

    // Takes back a batch whose rows were given.
    void release(Load& load) {
        const std::lock_guard lock(mutex_);
        load.images.clear();
        load.entries.clear();
        load.closed = false;
        free_.push_back(&load);
        changed_.notify_all();
    }

    // Ends all waiting.
    void stop() {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }

private:
    template <class P>
    bool put(Image<const P, Host> pixels, const Entry& entry) {
        std::unique_lock lock(mutex_);
        Load* load = nullptr;
        std::optional<Image<P, Host>> place;
        while (!place && !stopped_) {
            for (Load* open : open_) {
                if (!place && !open->closed && open->images.type() == pipeline::kPixelType<P>) {
                    load = open;
                    place = open->images.reserve<P>(pixels.height, pixels.width, entry.true_size);
                    open->closed = !place || open->images.full();
                    changed_.notify_all();
                }
            }
            if (!place && !free_.empty() && !opening_) {
                load = free_.back();
                free_.pop_back();
                place = open<P>(*load, pixels, entry, lock);
            } else if (!place) {
                changed_.wait(lock);
            }
        }
        if (!place) {
            return false;
        }
        load->entries.push_back(entry);
        ++load->filling;
        lock.unlock();
        for (int64_t y = 0; y < pixels.height; ++y) {
            std::copy_n(pixels.row(y), pixels.width, place->row(y));
        }
        lock.lock();
        --load->filling;
        changed_.notify_all();
        return true;
    }

    // Room for its first image in a batch that was taken out of free_. Nothing when there is no memory, but batches
    // that are under way may give theirs back.
    template <class P>
    std::optional<Image<P, Host>> open(Load& load, Image<const P, Host> pixels, const Entry& entry,
                                       std::unique_lock<std::mutex>& lock) {
        try {
            const Image<P, Host> place = first_place<P>(load, pixels, entry, lock);
            load.closed = load.images.full();
            open_.push_back(&load);
            return place;
        } catch (const OutOfDeviceMemory&) {
            spare_.push_back(&load);  // without memory by now; fewer batches will do
            if (spare_.size() < loads_.size()) {
                return std::nullopt;
            }
            // Not even alone: the next image may be smaller, and all batches may have room again.
            free_.swap(spare_);
            throw;
        } catch (...) {
            free_.push_back(&load);
            throw;
        }
    }

    // Making room for a whole batch takes a while, in which the device must not be kept waiting: without the lock.
    // Other images may fit into the same batch, so their threads wait before they open one more.
    template <class P>
    Image<P, Host> first_place(Load& load, Image<const P, Host> pixels, const Entry& entry,
                               std::unique_lock<std::mutex>& lock) {
        struct Unlocked {
            Unlocked(Loads& loads, std::unique_lock<std::mutex>& lock) : loads_(loads), lock_(lock) {
                loads_.opening_ = true;
                lock_.unlock();
            }
            ~Unlocked() {
                lock_.lock();
                loads_.opening_ = false;
                loads_.changed_.notify_all();
            }
            Loads& loads_;
            std::unique_lock<std::mutex>& lock_;
        };
        const Unlocked unlocked(*this, lock);
        return load.images.reserve<P>(pixels.height, pixels.width, entry.true_size).value();
    }

    // A batch that can run: closed ones first, others only if `any`.
    Load* ready(bool any) {
        const auto find = [&](bool closed) {
            const auto found = std::ranges::find_if(
                open_, [&](const Load* load) { return load->filling == 0 && load->closed == closed; });
            return found == open_.end() ? nullptr : *found;
        };
        Load* const full = find(true);
        return full != nullptr || !any ? full : find(false);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Load>> loads_;
    std::vector<Load*> free_;
    std::vector<Load*> open_;   // with at least one image, not under way
    std::vector<Load*> spare_;  // no more used, for lack of memory
    bool opening_ = false;      // a thread is making room in a batch that is in none of these
    int sources_;
    bool stopped_ = false;
};

// One thread that turns files into pixels.
void decode(std::span<const Input> inputs, Loads& loads, RowOrder& order) {
    try {
        io::ImageDecoder decoder;
        io::DecodedImage image;
        for (auto range = order.take(); !range.empty(); range = order.take()) {
            for (size_t i = range.begin; i < range.end; ++i) {
                const Input& input = inputs[i];
                const auto start = Clock::now();
                Result failure = guarded([&] {
                    if (input.error) {
                        throw *input.error;
                    }
                    decoder.decode(input.path, image);
                    loads.put(image, {i, milliseconds_since(start), input.true_size});
                    return Result{};
                });
                if (failure.status == pipeline::Status::error) {
                    failure.elapsed_ms = milliseconds_since(start);
                    order.give(i, {input.source, input.sex, std::move(failure), i});
                }
            }
        }
    } catch (...) {
        order.fail(std::current_exception());
    }
    loads.end_source();
}

// Keeps two batches under way until nothing comes any more.
class Runs {
public:
    Runs(pipeline::DevicePipeline& pipeline, std::span<const Input> inputs, std::span<const std::string> folders,
         Loads& loads, RowOrder& order)
        : pipeline_(pipeline), inputs_(inputs), folders_(folders), loads_(loads), order_(order) {}

    void run_all() {
        while (true) {
            Load* const load = loads_.next(under_way_.empty());
            if (load != nullptr && !folders_.empty()) {
                show(*load);
                continue;
            }
            if (load != nullptr) {
                pipeline_.start(load->images);
                under_way_.emplace_back(load, Clock::now());
            }
            if (under_way_.empty()) {
                return;
            }
            if (load == nullptr || under_way_.size() == 2) {
                finish_first();
            }
        }
    }

    // After run_all() has thrown: rows of what is under way, as far as the device still answers.
    void finish_rest() noexcept {
        try {
            while (!under_way_.empty()) {
                finish_first();
            }
        } catch (...) {
            under_way_.clear();  // what ended the run is known already
        }
    }

private:
    void finish_first() {
        const auto [first, started] = under_way_.front();
        under_way_.pop_front();
        give(*first, pipeline_.finish(first->images, sexes_of(*first)), started);
    }

    [[nodiscard]] std::vector<pipeline::Sex> sexes_of(const Load& load) const {
        std::vector<pipeline::Sex> sexes;
        for (const Entry& entry : load.entries) {
            sexes.push_back(inputs_[entry.input].sex);
        }
        return sexes;
    }

    void show(Load& load) {
        const auto started = Clock::now();
        std::vector<pipeline::StageSink> sinks;
        for (const Entry& entry : load.entries) {
            sinks.push_back(save_stages_in(folders_[entry.input]));
        }
        give(load,
             pipeline_.run(load.images, sexes_of(load),
                           [&](int64_t image, pipeline::Stage stage, const pipeline::StagePicture& picture) {
                               sinks[static_cast<size_t>(image)](stage, picture);
                           }),
             started);
    }

    void give(Load& load, std::vector<Result> results, Clock::time_point started) {
        const double each_ms = milliseconds_since(started) / static_cast<double>(results.size());
        for (size_t i = 0; i < results.size(); ++i) {
            const Entry& entry = load.entries[i];
            results[i].elapsed_ms = entry.decode_ms + each_ms;
            const Input& input = inputs_[entry.input];
            order_.give(entry.input, {input.source, input.sex, std::move(results[i]), entry.input});
        }
        loads_.release(load);
    }

    pipeline::DevicePipeline& pipeline_;
    std::span<const Input> inputs_;
    std::span<const std::string> folders_;
    Loads& loads_;
    RowOrder& order_;
    std::deque<std::pair<Load*, Clock::time_point>> under_way_;
};

}  // namespace

std::unique_ptr<pipeline::DevicePipeline> make_largest_pipeline(const pipeline::Models& models, plan::Backend& backend,
                                                                Stream& stream,
                                                                pipeline::DevicePipelineOptions options) {
    for (; options.batch >= 1; options.batch /= 2) {
        try {
            const Buffer<std::byte, Device> kept_for_images(kLoads * pipeline::usual_bytes(options.batch));
            return std::make_unique<pipeline::DevicePipeline>(models, backend, stream, options);
        } catch (const OutOfDeviceMemory&) {
            continue;  // half as many may fit
        }
    }
    throw OutOfDeviceMemory(
        "the GPU has too little free memory for even one radiograph at a time: end other programs that use it "
        "(nvidia-smi lists them), choose another GPU by --device cuda:N, or give --device cpu");
}

void score_on_device(pipeline::DevicePipeline& pipeline, std::span<const Input> inputs,
                     std::span<const std::string> folders, int decoders, RowOrder& order) {
    Loads loads(pipeline, decoders);
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<size_t>(decoders));
    for (int i = 0; i < decoders; ++i) {
        threads.emplace_back([&] { decode(inputs, loads, order); });
    }
    Runs runs(pipeline, inputs, folders, loads, order);
    try {
        runs.run_all();
    } catch (...) {
        order.fail(std::current_exception());
        loads.stop();
        runs.finish_rest();
    }
}

}  // namespace boneage::session
