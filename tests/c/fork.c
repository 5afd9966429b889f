/* A classifier after fork(): a code and no hang in the child, which opens its own; the parent goes on. a child also opens
   its own while a thread of its parent opens one that remembers. fork BUNDLE KEY.pub FOLDER */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
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
    alarm(300);
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

struct opening {
    medforge_source source;
    medforge_open_options options;
    int failed;
};

static volatile int stop;

static void *open_again_and_again(void *user) {
    struct opening *opening = user;
    while (!stop && !opening->failed) {
        medforge_classifier *classifier = NULL;
        opening->failed = medforge_open_with(&opening->source, &opening->options, &classifier) != MEDFORGE_RESULT_OK;
        medforge_close(classifier);
    }
    return NULL;
}

/* Children of a process with a thread that has a state file nearly always. */
static int remembering(const char *bundle, const char *key, const char *folder) {
    char theirs[4096], own[4096];
    struct opening opening = {.source = {.struct_size = sizeof(medforge_source), .path = bundle}};
    medforge_open_options options = {.struct_size = sizeof options, .trust_path = key, .state_path = theirs};
    pthread_t thread;
    int number;
    snprintf(theirs, sizeof theirs, "%s/theirs.json", folder);
    snprintf(own, sizeof own, "%s/own.json", folder);
    opening.options = options;
    options.state_path = own;
    if (pthread_create(&thread, NULL, open_again_and_again, &opening) != 0) return 1;
    for (number = 0; number < 20; number++) {
        struct timespec pause = {.tv_nsec = 5000000};
        int status = 0;
        pid_t process;
        nanosleep(&pause, NULL);
        process = fork();
        if (process == 0) {
            medforge_classifier *classifier = NULL;
            alarm(300);
            /* The parent's file, too, is free as soon as the parent is done. */
            if (number % 2) options.state_path = theirs;
            _exit(medforge_open_with(&opening.source, &options, &classifier) != MEDFORGE_RESULT_OK);
        }
        if (process < 0 || waitpid(process, &status, 0) != process || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            return fprintf(stderr, "child %d ended with %d\n", number, status), 1;
    }
    stop = 1;
    pthread_join(thread, NULL);
    return opening.failed;
}

int main(int argc, char **argv) {
    unsigned threads;
    if (argc != 4) return 2;
    if (remembering(argv[1], argv[2], argv[3])) return 1;
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
