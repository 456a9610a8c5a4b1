#include "tools/sex_table.h"

#include "engine/pipeline/sex.h"
#include "tools/id_table.h"

namespace boneage::tools {

SexTable read_sex_table(const std::filesystem::path& path) {
    return read_id_table<pipeline::Sex>(path, {"sex"}, "sex", [](const io::CsvReader& reader, const auto& fields) {
        const auto sex = pipeline::sex_from_text(fields[0]);
        if (!sex) {
            reader.fail("sex \"" + std::string(fields[0]) + "\" is neither M, F, male, female nor unknown");
        }
        return sex;
    });
}

}  // namespace boneage::tools
