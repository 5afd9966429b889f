/* Classifies PNG, JPEG and DICOM files with a MedForge bundle: classify BUNDLE KEY.pub IMAGE [TASK] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "medforge.h"

static unsigned char buffer[1 << 26];

int main(int argc, char **argv) {
    medforge_classifier *classifier = NULL;
    medforge_results *results = NULL;
    medforge_image image = {.struct_size = sizeof image};
    medforge_classify_options options = {.struct_size = sizeof options};
    medforge_classification found = {.struct_size = sizeof found};
    FILE *file = argc < 4 ? NULL : fopen(argv[3], "rb");
    if (!file) return fprintf(stderr, "usage: %s BUNDLE KEY.pub IMAGE [TASK]\n", argv[0]), 2;
    image.data = buffer;
    image.length = fread(buffer, 1, sizeof buffer, file);
    image.kind = memcmp(buffer + 128, "DICM", 4) ? MEDFORGE_IMAGE_KIND_FILE : MEDFORGE_IMAGE_KIND_DICOM;
    options.task = argv[4]; /* NULL: the only one */
    fclose(file);

    medforge_result result = medforge_open(argv[1], argv[2], &classifier);
    if (!result) result = medforge_classify(classifier, &image, 1, &options, &results);
    if (!result) result = medforge_results_get(results, 0, &found);
    if (!result && found.abstain) puts("no answer: the image is not one that the task can judge");
    for (size_t i = 0; !result && !found.abstain && i < found.class_count; i++) printf("%s %.6f\n", found.class_names[i], found.probabilities[i]);
    if (result) fprintf(stderr, "%s: %s\n", medforge_result_name(result), medforge_last_error());
    medforge_results_free(results);
    medforge_close(classifier);
    return result != 0;
}
