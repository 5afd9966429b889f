/* Classifies PNG, JPEG and DICOM files with a MedForge bundle: classify BUNDLE KEY.pub IMAGE... */
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "medforge.hpp"

static std::vector<unsigned char> read(const char *path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

static int fail(const medforge::Error &error) {
    std::cerr << error.what() << '\n';
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        std::cerr << "usage: " << argv[0] << " BUNDLE KEY.pub IMAGE...\n";
        return 2;
    }
    auto opened = medforge::Classifier::open(argv[1], argv[2]);
    if (!opened.ok()) return fail(opened.error());
    auto classifier = std::move(opened).value();

    std::vector<std::vector<unsigned char>> files;
    for (int i = 3; i < argc; i++) files.push_back(read(argv[i]));
    std::vector<medforge_image> images;
    for (const auto &bytes : files) {
        bool part10 = bytes.size() > 132 && std::memcmp(bytes.data() + 128, "DICM", 4) == 0;
        images.push_back(part10 ? medforge::dicom(bytes) : medforge::file(bytes));
    }
    auto classified = classifier.classify(images);
    if (!classified.ok()) return fail(classified.error());
    auto results = std::move(classified).value();
    for (size_t i = 0; i < results.size(); i++) {
        std::cout << argv[3 + i];
        if (results[i].abstain() != MEDFORGE_ABSTAIN_NONE) {
            std::cout << " no answer\n";
            continue;
        }
        for (const auto &found : results[i].classes()) std::cout << ' ' << found.name << ' ' << found.probability;
        std::cout << '\n';
    }
    return 0;
}
