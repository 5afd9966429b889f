/* Classifies a binary PPM image with a MedForge bundle: classify BUNDLE KEY.pub IMAGE.ppm [TASK] */
#include <stdio.h>
#include <stdlib.h>

#include "medforge.h"

static int fail(const char *what, medforge_result result) {
    fprintf(stderr, "%s: %s: %s\n", what, medforge_result_name(result), medforge_last_error());
    return 1;
}

/* Reads an 8-bit P6 file; NULL if it is none. */
static unsigned char *read_ppm(const char *path, unsigned *width, unsigned *height) {
    FILE *file = fopen(path, "rb");
    unsigned char *pixels = NULL;
    unsigned depth = 0;
    if (!file) return NULL;
    if (fscanf(file, "P6 %u %u %u", width, height, &depth) == 3 && depth == 255 && fgetc(file) != EOF &&
        *width > 0 && *height > 0 && *width <= 32768 && *height <= 32768) {
        size_t bytes = (size_t)*width * *height * 3;
        pixels = malloc(bytes);
        if (pixels && fread(pixels, 1, bytes, file) != bytes) {
            free(pixels);
            pixels = NULL;
        }
    }
    fclose(file);
    return pixels;
}

int main(int argc, char **argv) {
    medforge_classifier *classifier = NULL;
    medforge_result result;
    unsigned width, height;
    size_t classes = 0, i;
    if (argc < 4 || argc > 5) return fprintf(stderr, "usage: %s BUNDLE KEY.pub IMAGE.ppm [TASK]\n", argv[0]), 2;
    const char *task = argc == 5 ? argv[4] : NULL;
    unsigned char *pixels = read_ppm(argv[3], &width, &height);
    if (!pixels) return fprintf(stderr, "%s is not an 8-bit binary PPM file\n", argv[3]), 1;

    result = medforge_open(argv[1], argv[2], &classifier);
    if (result != MEDFORGE_RESULT_OK) return free(pixels), fail(argv[1], result);
    result = medforge_class_count(classifier, task, &classes);
    float *probabilities = calloc(classes ? classes : 1, sizeof *probabilities);
    if (result == MEDFORGE_RESULT_OK && probabilities)
        result = medforge_classify_rgb(classifier, task, pixels, width, height, (size_t)width * 3, classes, probabilities);
    for (i = 0; i < classes && probabilities && result == MEDFORGE_RESULT_OK; i++) {
        const char *name = NULL;
        result = medforge_class_name(classifier, task, i, &name);
        if (result == MEDFORGE_RESULT_OK) printf("%s %.6f\n", name, probabilities[i]);
    }
    int status = result == MEDFORGE_RESULT_OK ? 0 : fail(argv[3], result);
    free(probabilities);
    free(pixels);
    medforge_close(classifier);
    return status;
}
