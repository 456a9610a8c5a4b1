// The public face of the engine: load models once, then score any number of radiographs.
#pragma once

#include "engine/onednn/convolutions.h"
#include "engine/pipeline/result.h"
#include "engine/plan/plan.h"
#include "kernels/base/error.h"
#include "kernels/image/resize.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace boneage::session {

struct Options {
    std::string weights;                   // a model that estimates ages; its recipe rules the whole pipeline
    std::optional<std::string> segmenter;  // a model that finds the hand; none: the whole image counts as hand
    // Whether to score, with a caution, where `segmenter` is known not to be what the weights were trained with; a
    // Session refuses to otherwise.
    bool other_segmenter = false;
    std::optional<int> gpu;  // the GPU that computes; none: the processors do
    int workers = 0;  // threads that each score images of their own, or decode for a GPU; 0: one for each processor
    // Images that go through the age network together: by default 1, or 64 on a GPU. Processors never plan for more
    // than there are inputs.
    std::optional<int64_t> batch;
    plan::Precision precision = plan::Precision::f32;                    // of the age network
    onednn::Convolutions convolutions = onednn::Convolutions::winograd;  // on processors
    bool mirror = false;    // ages are means of a radiograph's and its mirror image's
    bool autotune = false;  // on a GPU: measure cuDNN's engines instead of trusting its heuristics
    // On a GPU: called with a convolution's name before a plan for it is made that was not kept on disk.
    std::function<void(std::string_view convolution)> preparing;
    std::filesystem::path stages_folder;  // where every stage's picture of every image goes; empty: nowhere
};

// What was loaded, for people.
struct Facts {
    bool weights_trained = false;
    std::optional<bool> segmenter_trained;  // nothing without a segmenter
    std::string computing;                  // the back end: "oneDNN 2.6.3 on AVX2", or the GPU
    std::vector<std::string> cautions;      // a sentence for every promise that this run may not keep
};

struct Input {
    std::filesystem::path path;
    std::string source;  // how rows call it
    pipeline::Sex sex = pipeline::Sex::unknown;
    // The size before somebody squashed the radiograph to that of the file; none: it has its own shape.
    std::optional<ImageSize> true_size = std::nullopt;
    std::optional<InputError> error =
        std::nullopt;  // why it cannot be read, where that is known already: it becomes its row
};

struct Row {
    std::string source;
    pipeline::Sex sex = pipeline::Sex::unknown;
    pipeline::Result result;
    size_t input = 0;  // its number among the inputs
};
// Called for one row at a time, in the order of the inputs, as soon as a row and all before it are complete; from
// changing threads. What it throws ends the run. A run that fails gives its finished rows without those it did not get
// to, which may lie between them.
using RowSink = std::function<void(const Row&)>;

class Session {
public:
    // Throws UsageError when a model cannot be used, naming the file and why.
    explicit Session(const Options& options);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] const Facts& facts() const;

    // Scores every input. An image that cannot be read or scored gives its row and the rest goes on; what ends the run
    // is thrown once every row finished by then was given. Once `stop` is true the images being worked on are
    // finished, and their rows given. Returns the number of rows. Memory depends on the number of workers and on the
    // largest image, not on the number of inputs. Ages do not depend on workers and batch, unless facts() cautions
    // that their last bits may.
    size_t score(const std::vector<Input>& inputs, const RowSink& sink, const std::atomic<bool>& stop);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace boneage::session
