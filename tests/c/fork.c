/* A classifier after fork(): a code and no hang in the child, which opens its own; the parent goes on. fork BUNDLE KEY.pub */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "medforge.h"

#define IS(code, call) do { medforge_result r_ = (call); if (r_ != (code)) return fprintf(stderr, "line %d: %s in place of %s: %s\n", __LINE__, medforge_result_name(r_), medforge_result_name(code), medforge_last_error()), 1; } while (0)

static unsigned char pixels[16 * 16 * 3];

static medforge_result classify(medforge_classifier *classifier) {
    float probabilities[64];
    return medforge_classify_rgb(classifier, NULL, pixels, 16, 16, 16 * 3, 64, probabilities);
}

static int child(medforge_classifier *theirs, const medforge_source *source, medforge_open_options options) {
    size_t count = 0;
    medforge_classifier *own = NULL;
    alarm(60);
    IS(MEDFORGE_RESULT_OTHER_PROCESS, classify(theirs));
    if (!strstr(medforge_last_error(), "fork()")) return fprintf(stderr, "%s\n", medforge_last_error()), 1;
    IS(MEDFORGE_RESULT_OTHER_PROCESS, medforge_task_count(theirs, &count));
    IS(MEDFORGE_RESULT_OTHER_PROCESS, medforge_replace(theirs, source, &options));
    IS(MEDFORGE_RESULT_OK, medforge_open_with(source, &options, &own));
    IS(MEDFORGE_RESULT_OK, classify(own));
    medforge_close(own);
    medforge_close(theirs);
    return 0;
}

int main(int argc, char **argv) {
    unsigned threads;
    if (argc != 3) return 2;
    for (threads = 0; threads < 3; threads += 2) {
        medforge_source source = {.struct_size = sizeof source, .path = argv[1]};
        medforge_open_options options = {.struct_size = sizeof options, .trust_path = argv[2], .threads = threads};
        medforge_classifier *classifier = NULL;
        int status = 0;
        pid_t process;
        IS(MEDFORGE_RESULT_OK, medforge_open_with(&source, &options, &classifier));
        IS(MEDFORGE_RESULT_OK, classify(classifier));
        process = fork();
        if (process == 0) return child(classifier, &source, options);
        if (process < 0 || waitpid(process, &status, 0) != process || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            return fprintf(stderr, "the child ended with %d\n", status), 1;
        IS(MEDFORGE_RESULT_OK, classify(classifier));
        medforge_close(classifier);
    }
    printf("all good\n");
    return 0;
}
