/* Calls every function once or more, and frees everything: for valgrind and AddressSanitizer. every_call BUNDLE KEY.pub IMAGE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "medforge.h"

#define OK(call) do { medforge_result r_ = (call); if (r_) return fprintf(stderr, "line %d: %s: %s\n", __LINE__, medforge_result_name(r_), medforge_last_error()), 1; } while (0)
#define FAILS(code, call) do { medforge_result r_ = (call); if (r_ != (code)) return fprintf(stderr, "line %d: %s in place of %s\n", __LINE__, medforge_result_name(r_), medforge_result_name(code)), 1; } while (0)

static unsigned char *whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    if (!file) return NULL;
    if (!fseek(file, 0, SEEK_END)) {
        *length = (size_t)ftell(file);
        rewind(file);
        bytes = malloc(*length ? *length : 1);
        if (bytes && fread(bytes, 1, *length, file) != *length) free(bytes), bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static void count_lines(uint32_t level, const char *line, void *user) {
    (void)level;
    if (line[0]) ++*(int *)user;
}

int main(int argc, char **argv) {
    int lines = 0;
    size_t bundle_length = 0, key_length = 0, image_length = 0, count = 0, i;
    if (argc != 4) return 2;
    unsigned char *bundle = whole(argv[1], &bundle_length), *key = whole(argv[2], &key_length), *file = whole(argv[3], &image_length);
    if (!bundle || !key || !file) return fprintf(stderr, "a file cannot be read\n"), 1;
    medforge_set_log(count_lines, &lines);
    printf("medforge %s %d.%d.%d\n", medforge_version(), MEDFORGE_VERSION_MAJOR, MEDFORGE_VERSION_MINOR, MEDFORGE_VERSION_PATCH);

    medforge_source source = {.struct_size = sizeof source, .data = bundle, .length = bundle_length};
    medforge_open_options options = {.struct_size = sizeof options, .trust_data = key, .trust_length = key_length, .now = "2026-06-01T00:00:00Z", .threads = 2};
    medforge_report *report = NULL;
    medforge_report_view view = {.struct_size = sizeof view};
    OK(medforge_verify(&source, &options, &report));
    OK(medforge_report_get(report, &view));
    printf("%s %s\n", view.name, view.id);
    medforge_report_free(report);
    medforge_limits limits = {.struct_size = sizeof limits};
    OK(medforge_limits_get(&limits));

    medforge_classifier *classifier = NULL;
    OK(medforge_open_with(&source, &options, &classifier));
    FAILS(MEDFORGE_RESULT_UNCHANGED, medforge_add(classifier, &source, &options));
    OK(medforge_replace(classifier, &source, &options));
    const char *id = NULL, *task = NULL, *module = NULL, *text = NULL, *scheme = NULL, *meaning = NULL;
    OK(medforge_bundle_count(classifier, &count));
    OK(medforge_bundle_id(classifier, 0, &id));
    OK(medforge_manifest(classifier, id, &text));
    FAILS(MEDFORGE_RESULT_UNCHANGED, medforge_unload(classifier, id));
    OK(medforge_task_count(classifier, &count));
    OK(medforge_task_name(classifier, 0, &task));
    OK(medforge_module_count(classifier, &count));
    OK(medforge_module_id(classifier, 0, &module));
    uint32_t kind = 0;
    double weight = 0;
    OK(medforge_default(classifier, task, &kind, &count));
    OK(medforge_default_module(classifier, task, 0, &module, &weight));
    OK(medforge_class_count(classifier, task, &count));
    for (i = 0; i < count; i++) {
        OK(medforge_class_name(classifier, task, i, &text));
        OK(medforge_class_code(classifier, task, i, &scheme, &text, &meaning));
    }
    FAILS(MEDFORGE_RESULT_OUT_OF_RANGE, medforge_class_name(classifier, task, count, &text));

    medforge_image images[2] = {{.struct_size = sizeof(medforge_image), .kind = MEDFORGE_IMAGE_KIND_FILE, .data = file, .length = image_length}};
    uint16_t gray[12 * 10] = {0};
    uint16_t entries[] = {0, 128, 255};
    medforge_lut lut = {.first_value = 0, .bits = 8, .count = 3, .entries = entries};
    images[1] = (medforge_image){.struct_size = sizeof(medforge_image), .data = gray, .length = sizeof gray, .rows = 10, .columns = 12,
        .bits_allocated = 16, .bits_stored = 12, .voi = MEDFORGE_VALUES_OF_INTEREST_TABLE, .voi_lut = &lut};
    double weights[] = {0.5};
    medforge_selection selection = {.kind = MEDFORGE_SELECTION_KIND_MIXTURE, .count = 1, .modules = &module, .weights = weights};
    medforge_cancel *cancel = NULL;
    OK(medforge_cancel_new(&cancel));
    medforge_classify_options how = {.struct_size = sizeof how, .task = task, .selection = &selection, .cancel = cancel, .timeout_ms = 600000};
    medforge_results *results = NULL;
    medforge_classification found = {.struct_size = sizeof found};
    OK(medforge_classify(classifier, images, 2, &how, &results));
    OK(medforge_results_count(results, &count));
    for (i = 0; i < count; i++) {
        OK(medforge_results_get(results, i, &found));
        printf("%s\n", found.json);
    }
    medforge_map map = {.struct_size = sizeof map};
    FAILS(MEDFORGE_RESULT_OUT_OF_RANGE, medforge_results_map(results, 0, &map));
    medforge_results_free(results);
    OK(medforge_explain(classifier, images, 2, &how, &results));
    OK(medforge_results_map(results, 1, &map));
    float sum = 0;
    for (i = 0; i < map.grid * map.grid; i++) sum += map.values[i];
    if (sum < 0.999f || sum > 1.001f || map.width <= 0) return fprintf(stderr, "a map sums to %f\n", (double)sum), 1;
    medforge_results_free(results);
    OK(medforge_set_default(classifier, task, &selection));
    OK(medforge_cancel_set(cancel));
    FAILS(MEDFORGE_RESULT_CANCELLED, medforge_classify(classifier, images, 1, &how, &results));
    medforge_cancel_free(cancel);
    images[0].kind = MEDFORGE_IMAGE_KIND_DICOM;
    FAILS(MEDFORGE_RESULT_IMAGE, medforge_classify(classifier, images, 1, NULL, &results));
    unsigned char rgb[3 * 4 * 5] = {1, 2, 3};
    float probabilities[16];
    OK(medforge_classify_rgb(classifier, task, rgb, 5, 4, 15, 16, probabilities));
    medforge_memory memory = {.struct_size = sizeof memory};
    OK(medforge_memory_use(classifier, &memory));
    FAILS(MEDFORGE_RESULT_IO, medforge_trust_follows("none", "none", "none", NULL));
    medforge_close(classifier);
    OK(medforge_open(argv[1], argv[2], &classifier));
    medforge_close(classifier);
    medforge_set_log(NULL, NULL);
    free(bundle), free(key), free(file);
    return lines > 5 ? 0 : 1;
}
