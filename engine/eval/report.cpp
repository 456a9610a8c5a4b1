#include "engine/eval/report.h"

#include "engine/eval/tables.h"
#include "engine/io/file.h"
#include "kernels/base/error.h"

#include <span>
#include <system_error>

namespace boneage::eval {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
    io::AtomicFile file(path.string());
    file.write(std::as_bytes(std::span(text)));
    file.commit();
}

}  // namespace

void write_report(const std::filesystem::path& folder, const Evaluation& evaluation, const PageExtras& extras) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error || !std::filesystem::is_directory(folder, error)) {
        throw Error(folder.string() + " cannot be made: " + (error ? error.message() : "there is a file of that name"));
    }
    write(folder / "report.json", json_text(evaluation));
    write(folder / "metrics.csv", csv_text(evaluation));
    write(folder / "index.html", page_text(evaluation, extras));
}

}  // namespace boneage::eval
