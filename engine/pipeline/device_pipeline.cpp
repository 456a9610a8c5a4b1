#include "engine/pipeline/device_pipeline.h"

#include "engine/pipeline/device_lane.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <chrono>

namespace boneage::pipeline {
namespace {

// Shows the pictures of a batch while it runs, each image's until it is rejected.
template <class P>
class Show {
public:
    Show(Stream& stream, std::byte* tables, size_t count, const DevicePipeline::BatchSink& sink)
        : stream_(stream), tables_(tables), rejected_(count, false), sink_(sink) {}

    [[nodiscard]] std::vector<bool>& rejected() { return rejected_; }

    template <class T>
    void images(Stage stage, const ImageTable<T>& table) {
        for (size_t i = 0; i < rejected_.size(); ++i) {
            if (rejected_[i]) {
                continue;
            }
            const Image<T, Device> image = table.described(tables_, static_cast<int64_t>(i));
            const int64_t elements = (image.height - 1) * image.stride + image.width;
            Buffer<T, Host> rows(elements);
            copy_to_host(stream_, rows.data(), image.data, elements * static_cast<int64_t>(sizeof(T)));
            stream_.synchronize();
            const Image<const T, Host> picture(rows.data(), image.height, image.width, image.stride);
            sink_(static_cast<int64_t>(i), stage, StagePicture(picture));
        }
    }

    void input(Tensor<const float, Device> input, const Recipe::Input& recipe) {
        const int64_t size = input.size() / input.shape[0];
        Buffer<float, Host> values(size);
        HostImage<uint8_t> picture;
        for (size_t i = 0; i < rejected_.size(); ++i) {
            if (rejected_[i]) {
                continue;
            }
            copy_to_host(stream_, values.data(), input.at(static_cast<int64_t>(i)),
                         size * static_cast<int64_t>(sizeof(float)));
            stream_.synchronize();
            picture_of_input({values.data(), 1, input.shape[1], input.shape[2], input.shape[3]}, recipe, picture);
            sink_(static_cast<int64_t>(i), Stage::input, Image<const uint8_t, Host>(picture.view()));
        }
    }

private:
    Stream& stream_;
    std::byte* tables_;
    std::vector<bool> rejected_;
    const DevicePipeline::BatchSink& sink_;
};

}  // namespace

struct DevicePipeline::Shared {
    Shared(const Models& models, plan::Backend& backend, Stream& stream, const DevicePipelineOptions& options)
        : answer_tables(options.batch),
          answers(answer_tables.layout.size()),
          networks{std::nullopt,
                   {models.age_network, models.recipe, backend, options.precision, options.batch, stream}} {
        if (models.segmenter) {
            networks.segmenter.emplace(*models.segmenter, models.recipe, backend, plan::Precision::f32, options.batch);
        }
        // What is copied back before a stage has run is at least nothing by chance.
        clear_device(stream, answers.data(), answers.size());
    }

    // What the answers at `host` say about image i.
    void judge(std::byte* host, int64_t i, const Recipe& recipe, Result& result) const {
        const ContrastStats& contrast = answer_tables.contrast.in(host)[i];
        judge_contrast(result, contrast.spread, contrast.low != 0);
        if (result.status != Status::ok) {
            return;
        }
        if (!networks.segmenter) {
            result.mask_fraction = 1.0;
            return;
        }
        judge_map(result, answer_tables.broken_map.in(host)[i] != 0);
        if (result.status != Status::ok) {
            return;
        }
        const ComponentStats& mask = answer_tables.components.in(host)[i];
        const ImageSize canvas = canvas_size(result.height, result.width, recipe.canvas);
        const int64_t hand = recipe.contours.largest ? mask.largest : mask.foreground;
        judge_mask(result, static_cast<double>(hand) / static_cast<double>(canvas.height * canvas.width),
                   recipe.segment);
    }

    AnswerTables answer_tables;
    Buffer<std::byte, Device> answers;
    DeviceModels networks;
};

DevicePipeline::DevicePipeline(const Models& models, plan::Backend& backend, Stream& stream,
                               const DevicePipelineOptions& options)
    : recipe_(models.recipe), options_(options), stream_(stream), copies_(stream.device().ordinal) {
    validate(recipe_);
    expects(options.batch >= 1, "a batch holds at least one image");
    shared_ = std::make_unique<Shared>(models, backend, stream, options);
    // Both now, so that no image of the other type finds the device full later.
    lane<uint8_t>();
    lane<uint16_t>();
}

DevicePipeline::~DevicePipeline() = default;

template <class P>
DeviceLane<P>& DevicePipeline::lane() {
    auto& made = [this]() -> std::unique_ptr<DeviceLane<P>>& {
        if constexpr (std::is_same_v<P, uint8_t>) {
            return lane8_;
        } else {
            return lane16_;
        }
    }();
    if (!made) {
        const int64_t places = shared_->networks.segmenter ? shared_->networks.segmenter->places() : 0;
        made = std::make_unique<DeviceLane<P>>(recipe_, options_.batch, options_.mirror, places, stream_);
    }
    return *made;
}

ImageBatch DevicePipeline::make_batch() const {
    return {stream_.device().ordinal, options_.batch, lane8_->table_bytes(), shared_->answer_tables.layout.size()};
}

void DevicePipeline::upload(ImageBatch& images) {
    copy_to_device(copies_, images.device_pixels_.data(), images.pixels_.data(), images.used_bytes());
    images.copied_.record(copies_);
    images.copied_.block(stream_);
}

void DevicePipeline::read_back(ImageBatch& images) {
    copy_to_host(stream_, images.answers_.data(), shared_->answers.data(), shared_->answers.size());
    images.done_.record(stream_);
}

void DevicePipeline::start(ImageBatch& images) {
    const auto with = [&](auto& lane) {
        const bool grew = lane.describe(images);
        upload(images);
        lane.send_tables(images);
        const auto enqueue = [&] { lane.enqueue(shared_->networks, shared_->answers.data()); };
        if (!options_.capture) {
            enqueue();
        } else if (lane.graph.empty()) {
            // Libraries may load code the first time, which cannot be recorded.
            enqueue();
            lane.graph = CapturedGraph(stream_, enqueue);
        } else {
            if (grew) {
                lane.graph = CapturedGraph(stream_, enqueue);
            }
            lane.graph.launch(stream_);
        }
        read_back(images);
    };
    images.type() == PixelType::u8 ? with(lane<uint8_t>()) : with(lane<uint16_t>());
}

std::vector<Result> DevicePipeline::finish(ImageBatch& images, std::span<const Sex> sexes) {
    expects(static_cast<int64_t>(sexes.size()) == images.count(), "one sex for every image");
    images.done_.synchronize();
    std::byte* answers = images.answers_.data();
    std::vector<Result> results(images.slots_.size());
    for (size_t i = 0; i < results.size(); ++i) {
        Result& result = results[i];
        result.height = images.slots_[i].height;
        result.width = images.slots_[i].width;
        const auto slot = static_cast<int64_t>(i);
        shared_->judge(answers, slot, recipe_, result);
        if (result.status == Status::ok) {
            const auto ages = [&](const AnswerTables::AgeTables& tables) {
                return Ages{recipe_.age.months(tables.if_male.in(answers)[slot]),
                            recipe_.age.months(tables.if_female.in(answers)[slot])};
            };
            const AnswerTables& tables = shared_->answer_tables;
            enter_ages(result, options_.mirror ? mean_of(ages(tables.ages), ages(tables.mirrored)) : ages(tables.ages),
                       sexes[i]);
        }
    }
    return results;
}

std::vector<Result> DevicePipeline::run(ImageBatch& images, std::span<const Sex> sexes, const BatchSink& sink) {
    const auto with = [&]<class P>(DeviceLane<P>& lane) {
        lane.describe(images);
        upload(images);
        lane.send_tables(images);
        std::vector<Result> results(images.slots_.size());
        for (size_t i = 0; i < results.size(); ++i) {
            results[i].height = images.slots_[i].height;
            results[i].width = images.slots_[i].width;
        }
        Show<P> show(stream_, images.tables_.data(), results.size(), sink);
        // Reads what is known of the images once `stage` has run; later stages' answers are an older batch's.
        const auto judge = [&](Stage stage) {
            read_back(images);
            images.done_.synchronize();
            for (size_t i = 0; i < results.size(); ++i) {
                Result result = results[i];
                shared_->judge(images.answers_.data(), static_cast<int64_t>(i), recipe_, result);
                show.rejected()[i] =
                    result.status != Status::ok && (result.reason == "low_contrast" || stage == Stage::dilate ||
                                                    (stage == Stage::segment && result.status == Status::error));
            }
        };
        typename DeviceLane<P>::Observer observer;
        observer.image = [&](Stage stage, const ImageTable<P>& table) {
            show.images(stage, table);
            if (stage == Stage::contrast) {
                judge(stage);
            }
        };
        observer.mask = [&](Stage stage, const ImageTable<uint8_t>& table) {
            if (stage == Stage::segment || stage == Stage::dilate) {
                judge(stage);
            }
            show.images(stage, table);
        };
        observer.input = [&] { show.input(shared_->networks.age_network.input(), recipe_.input); };
        lane.enqueue(shared_->networks, shared_->answers.data(), &observer);
        read_back(images);
    };
    images.type() == PixelType::u8 ? with(lane<uint8_t>()) : with(lane<uint16_t>());
    return finish(images, sexes);
}

}  // namespace boneage::pipeline
