#include "tools/score_inputs.h"

#include "engine/errors.h"
#include "engine/io/file_list.h"
#include "tools/sex_table.h"
#include "tools/size_table.h"

#include <algorithm>
#include <utility>

namespace boneage::tools {
namespace {

std::string known_text(const char* what, size_t known, size_t radiographs) {
    return std::string(what) + " known for " + std::to_string(known) + " of " + radiographs_text(radiographs) +
           (known < radiographs ? "; the table's ids are file names without folder and extension" : "");
}

}  // namespace

std::string radiographs_text(size_t count) {
    return std::to_string(count) + (count == 1 ? " radiograph" : " radiographs");
}

ScoreInputs list_score_inputs(const std::vector<std::string>& named, const std::string& sex_csv,
                              const std::string& sizes_csv) {
    if (std::ranges::find(named, "") != named.end()) {
        throw UsageError("an INPUT is empty, perhaps by a variable that is not set; name image files or folders");
    }
    const SexTable sexes = sex_csv.empty() ? SexTable() : read_sex_table(sex_csv);
    const SizeTable sizes = sizes_csv.empty() ? SizeTable() : read_size_table(sizes_csv);
    ScoreInputs inputs;
    size_t with_sex = 0;
    size_t with_size = 0;
    for (io::Input& listed : io::list_inputs({named.begin(), named.end()})) {
        session::Input input{listed.source, listed.source.string()};
        input.error = std::move(listed.error);
        const bool readable = !input.error;
        inputs.radiographs += readable ? 1 : 0;
        const std::string id = input.path.stem().string();
        if (const auto sex = sexes.find(id); sex != sexes.end()) {
            input.sex = sex->second;
            with_sex += readable && input.sex != pipeline::Sex::unknown ? 1 : 0;
        }
        if (const auto size = sizes.find(id); size != sizes.end()) {
            input.true_size = size->second;
            with_size += readable ? 1 : 0;
        }
        inputs.list.push_back(std::move(input));
    }
    if (!sex_csv.empty()) {
        inputs.known.push_back(known_text("sex", with_sex, inputs.radiographs));
    }
    if (!sizes_csv.empty()) {
        inputs.known.push_back(known_text("original size", with_size, inputs.radiographs));
    }
    return inputs;
}

}  // namespace boneage::tools
