/* MedForge for C++17, over medforge.h: handles that close themselves, and results that hold a value or an error.
 *
 *     auto classifier = medforge::Classifier::open("breast.medforge", "k.pub").value();
 *     auto results = classifier.classify({medforge::file(bytes)}).value();
 *     for (const auto &found : results[0].classes()) std::cout << found.name << ' ' << found.probability << '\n';
 *
 * value() throws medforge::Error where there is none; with MEDFORGE_NO_EXCEPTIONS defined it ends the program, so ask ok() first. Header only.
 * Research software, no medical device. SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef MEDFORGE_HPP
#define MEDFORGE_HPP

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#ifndef MEDFORGE_NO_EXCEPTIONS
#include <stdexcept>
#endif

#include "medforge.h"

namespace medforge {

/// What went wrong: a code, and a sentence.
class Error
#ifndef MEDFORGE_NO_EXCEPTIONS
    : public std::runtime_error
#endif
{
public:
    /// The calling thread's last failure.
    explicit Error(medforge_result code)
#ifndef MEDFORGE_NO_EXCEPTIONS
        : std::runtime_error(std::string(medforge_result_name(code)) + ": " + medforge_last_error()), code_(code) {}
#else
        : code_(code), text_(std::string(medforge_result_name(code)) + ": " + medforge_last_error()) {}
    const char *what() const noexcept { return text_.c_str(); }
#endif
    medforge_result code() const noexcept { return code_; }

private:
    medforge_result code_;
#ifdef MEDFORGE_NO_EXCEPTIONS
    std::string text_;
#endif
};

/// A value, or why there is none.
template <typename T> class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}
    bool ok() const noexcept { return value_.has_value(); }
    /// Only where ok() is false.
    const Error &error() const { return *error_; }
    T value() && { return check(), std::move(*value_); }
    const T &value() const & { return check(), *value_; }

private:
    void check() const {
        if (ok()) return;
#ifndef MEDFORGE_NO_EXCEPTIONS
        throw *error_;
#else
        std::fprintf(stderr, "%s\n", error_->what());
        std::abort();
#endif
    }
    std::optional<T> value_;
    std::optional<Error> error_;
};

/// Nothing, as a value.
struct Done {};

/// A struct that begins with its size, otherwise zeros.
template <typename T> T sized() {
    T value{};
    value.struct_size = sizeof value;
    return value;
}

/// A PNG, JPEG or TIFF file in memory, which must outlive the call.
inline medforge_image file(const std::vector<unsigned char> &bytes) {
    auto image = sized<medforge_image>();
    image.kind = MEDFORGE_IMAGE_KIND_FILE;
    image.data = bytes.data();
    image.length = bytes.size();
    return image;
}

/// One frame of a DICOM file in memory, which must outlive the call.
inline medforge_image dicom(const std::vector<unsigned char> &bytes, uint32_t frame = 0) {
    auto image = file(bytes);
    image.kind = MEDFORGE_IMAGE_KIND_DICOM;
    image.frame = frame;
    return image;
}

/// A class and its probability. The name lives as long as the results.
struct Class {
    const char *name;
    float probability;
};

/// What was found in one image; it lives as long as the results.
class Classification {
public:
    explicit Classification(medforge_classification raw) : raw_(raw) {}
    const char *task() const { return raw_.task; }
    std::vector<Class> classes() const {
        std::vector<Class> all;
        for (size_t i = 0; i < raw_.class_count; i++) all.push_back({raw_.class_names[i], raw_.probabilities[i]});
        return all;
    }
    /// Whether there should be no answer, and why; of a task that was not calibrated always MEDFORGE_ABSTAIN_NONE.
    medforge_abstain abstain() const { return raw_.abstain; }
    Class top() const { return {raw_.class_names[raw_.top], raw_.probabilities[raw_.top]}; }
    const char *json() const { return raw_.json; }
    /// Everything else.
    const medforge_classification &raw() const { return raw_; }

private:
    medforge_classification raw_;
};

/// Results of one call.
class Results {
public:
    explicit Results(medforge_results *raw) : raw_(raw, medforge_results_free) {}
    size_t size() const {
        size_t count = 0;
        medforge_results_count(raw_.get(), &count);
        return count;
    }
    /// Only for indices below size().
    Classification operator[](size_t index) const {
        auto one = sized<medforge_classification>();
        medforge_results_get(raw_.get(), index, &one);
        return Classification(one);
    }
    /// Where the result comes from; only of explain(). It lives as long as the results.
    Result<medforge_map> map(size_t index) const {
        auto one = sized<medforge_map>();
        auto result = medforge_results_map(raw_.get(), index, &one);
        if (result != MEDFORGE_RESULT_OK) return Error(result);
        return one;
    }

private:
    std::unique_ptr<medforge_results, decltype(&medforge_results_free)> raw_;
};

/// Bundles that were verified and are ready to classify. May be used by several threads.
class Classifier {
public:
    /// Verifies and loads the bundle in a file, trusting the keys of a file.
    static Result<Classifier> open(const std::string &bundle, const std::string &trust) {
        medforge_classifier *raw = nullptr;
        auto result = medforge_open(bundle.c_str(), trust.c_str(), &raw);
        if (result != MEDFORGE_RESULT_OK) return Error(result);
        return Classifier(raw);
    }
    /// As options say.
    static Result<Classifier> open(const medforge_source &source, const medforge_open_options &options) {
        medforge_classifier *raw = nullptr;
        auto result = medforge_open_with(&source, &options, &raw);
        if (result != MEDFORGE_RESULT_OK) return Error(result);
        return Classifier(raw);
    }
    /// Classifies images, all with the same set of modules.
    Result<Results> classify(const std::vector<medforge_image> &images, const medforge_classify_options *options = nullptr) const {
        medforge_results *raw = nullptr;
        auto result = medforge_classify(raw_.get(), images.data(), images.size(), options, &raw);
        if (result != MEDFORGE_RESULT_OK) return Error(result);
        return Results(raw);
    }
    /// The same answers, with maps.
    Result<Results> explain(const std::vector<medforge_image> &images, const medforge_classify_options *options = nullptr) const {
        medforge_results *raw = nullptr;
        auto result = medforge_explain(raw_.get(), images.data(), images.size(), options, &raw);
        if (result != MEDFORGE_RESULT_OK) return Error(result);
        return Results(raw);
    }
    Result<Done> add(const medforge_source &source, const medforge_open_options &options) const {
        return done(medforge_add(raw_.get(), &source, &options));
    }
    Result<Done> replace(const medforge_source &source, const medforge_open_options &options) const {
        return done(medforge_replace(raw_.get(), &source, &options));
    }
    Result<Done> unload(const std::string &bundle) const { return done(medforge_unload(raw_.get(), bundle.c_str())); }
    Result<Done> set_default(const std::string &task, const medforge_selection &selection) const {
        return done(medforge_set_default(raw_.get(), task.c_str(), &selection));
    }
    /// The names of the tasks. Each lives as long as the classifier.
    std::vector<const char *> tasks() const {
        std::vector<const char *> all;
        const char *name = nullptr;
        while (medforge_task_name(raw_.get(), all.size(), &name) == MEDFORGE_RESULT_OK) all.push_back(name);
        return all;
    }
    /// For functions of medforge.h.
    medforge_classifier *raw() const { return raw_.get(); }

private:
    explicit Classifier(medforge_classifier *raw) : raw_(raw, medforge_close) {}
    static Result<Done> done(medforge_result result) {
        if (result != MEDFORGE_RESULT_OK) return Error(result);
        return Done{};
    }
    std::unique_ptr<medforge_classifier, decltype(&medforge_close)> raw_;
};

} // namespace medforge

#endif
