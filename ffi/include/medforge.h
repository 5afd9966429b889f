/* MedForge: verifies signed bundles and classifies medical images on the device.
 *
 * Research software, no medical device.
 *
 * - Every function that can fail returns a medforge_result. Outputs come last and are written only on success.
 * - After a failure medforge_last_error() is one sentence saying what was wrong, for the calling thread.
 * - A medforge_classifier may be used by several threads at once; close it when the last one is done.
 * - Strings belong to the library: those of a classifier live until it is closed.
 *
 * Made by cbindgen from ffi/src; do not edit. SPDX-License-Identifier: MIT OR Apache-2.0 */

#ifndef MEDFORGE_H
#define MEDFORGE_H

#include <stddef.h>
#include <stdint.h>

// What a function came to. Numbers are never reused: 1 to 19 the call, 20 to 49 a refused bundle, 50 and up the device
// and the question asked.
enum medforge_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  MEDFORGE_RESULT_OK = 0,
  // A pointer is NULL that must not be.
  MEDFORGE_RESULT_NULL_POINTER = 1,
  // A string is not UTF-8.
  MEDFORGE_RESULT_NOT_UTF8 = 2,
  // A file cannot be read.
  MEDFORGE_RESULT_IO = 3,
  // A fault in the library itself; please report it.
  MEDFORGE_RESULT_PANIC = 4,
  // An index past the end.
  MEDFORGE_RESULT_OUT_OF_RANGE = 5,
  // The caller's buffer is too small for the result.
  MEDFORGE_RESULT_BUFFER_TOO_SMALL = 6,
  // An error that has no code of its own in this version.
  MEDFORGE_RESULT_OTHER = 7,
  // The trusted key cannot be used.
  MEDFORGE_RESULT_TRUST = 8,
  // Width, height, stride and pointer do not make an image.
  MEDFORGE_RESULT_PIXELS = 9,
  // The image cannot be brought to the size that the bundle asks for.
  MEDFORGE_RESULT_PREPROCESSING = 10,
  // An image file does not decode.
  MEDFORGE_RESULT_IMAGE = 11,
  // Not a bundle, cut off or added to.
  MEDFORGE_RESULT_NOT_A_BUNDLE = 20,
  // Larger than the format allows.
  MEDFORGE_RESULT_BUNDLE_LIMIT = 21,
  // The archive is not in its canonical form.
  MEDFORGE_RESULT_BUNDLE_FRAME = 22,
  // An entry's name is not allowed.
  MEDFORGE_RESULT_BUNDLE_NAME = 23,
  // An entry is missing.
  MEDFORGE_RESULT_BUNDLE_ENTRY_MISSING = 24,
  // An entry is not in the manifest.
  MEDFORGE_RESULT_BUNDLE_ENTRY_UNLISTED = 25,
  // An entry's length is not the signed one.
  MEDFORGE_RESULT_BUNDLE_ENTRY_LENGTH = 26,
  // An entry's bytes are not the signed ones.
  MEDFORGE_RESULT_BUNDLE_ENTRY_DIGEST = 27,
  // An entry is as signed but cannot be used.
  MEDFORGE_RESULT_BUNDLE_ENTRY_CONTENT = 28,
  // Another version of the format.
  MEDFORGE_RESULT_MANIFEST_VERSION = 29,
  // JSON of another form than expected.
  MEDFORGE_RESULT_BUNDLE_JSON = 30,
  // JSON that is not canonical.
  MEDFORGE_RESULT_BUNDLE_JSON_NOT_CANONICAL = 31,
  // The manifest contradicts itself.
  MEDFORGE_RESULT_MANIFEST = 32,
  // A signature does not match.
  MEDFORGE_RESULT_SIGNATURE_INVALID = 33,
  // The list of signatures is not one that a signer makes.
  MEDFORGE_RESULT_SIGNATURES = 34,
  // Too few trusted keys have signed.
  MEDFORGE_RESULT_NOT_TRUSTED = 35,
  // The graph is not one that runs here.
  MEDFORGE_RESULT_GRAPH = 36,
  // Tensors do not fit the graph or the manifest.
  MEDFORGE_RESULT_MISFIT = 37,
  // A tensor file cannot be read.
  MEDFORGE_RESULT_TENSOR_FILE = 38,
  // A tensor cannot be used.
  MEDFORGE_RESULT_TENSOR = 39,
  // This device computes something else than the maker of the bundle did; do not use it.
  MEDFORGE_RESULT_GOLDEN_MISMATCH = 50,
  // The computation failed.
  MEDFORGE_RESULT_DEVICE = 51,
  // The bundle has no such task.
  MEDFORGE_RESULT_UNKNOWN_TASK = 52,
  // The bundle has several tasks and none was named.
  MEDFORGE_RESULT_TASK_NEEDED = 53,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_result medforge_result;
#else
typedef uint32_t medforge_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A bundle that was verified and is ready to classify.
typedef struct medforge_classifier medforge_classifier;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The name of a result, such as "NOT_TRUSTED"; "UNKNOWN" for a number that is none. Never NULL.
const char *medforge_result_name(uint32_t result);

// The version of the library, such as "0.1.0". Never NULL.
const char *medforge_version(void);

// What was wrong in this thread's last call that failed: one sentence, empty if none has. Never NULL; valid until this
// thread's next failure.
const char *medforge_last_error(void);

// Verifies the bundle in the file `bundle_path` against the public key or keys (SPKI PEM) in the file `trust_path`, loads
// it and checks this device against its golden vectors.
//
// # Safety
// Both paths are NUL-terminated strings; `classifier` points to a writable pointer.
medforge_result medforge_open(const char *bundle_path,
                              const char *trust_path,
                              medforge_classifier **classifier);

// Closes a classifier and frees its memory. NULL is allowed.
//
// # Safety
// `classifier` is NULL or came from medforge_open, and no thread uses it any more.
void medforge_close(medforge_classifier *classifier);

// The id of the bundle: SHA-256 of its manifest, 64 hex digits.
//
// # Safety
// `classifier` is open; `id` points to a writable pointer.
medforge_result medforge_bundle_id(const medforge_classifier *classifier, const char **id);

// The number of tasks.
//
// # Safety
// `classifier` is open; `count` points to a writable size_t.
medforge_result medforge_task_count(const medforge_classifier *classifier, size_t *count);

// The name of task `index`, counted from 0.
//
// # Safety
// `classifier` is open; `name` points to a writable pointer.
medforge_result medforge_task_name(const medforge_classifier *classifier,
                                   size_t index,
                                   const char **name);

// The number of classes of `task`; a NULL task is the bundle's only one.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; `count` points to a writable size_t.
medforge_result medforge_class_count(const medforge_classifier *classifier,
                                     const char *task,
                                     size_t *count);

// The name of class `index` of `task`, counted from 0; a NULL task is the bundle's only one.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; `name` points to a writable pointer.
medforge_result medforge_class_name(const medforge_classifier *classifier,
                                    const char *task,
                                    size_t index,
                                    const char **name);

// Classifies an image of any size: rows of `width` RGB triples of bytes, `stride` bytes from one row to the next. Writes
// the probability of each class of `task`, in the order of their indices, to `probabilities`, which has room for
// `capacity` values. A NULL task is the bundle's only one.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; `pixels` points to (height - 1) * stride + 3 * width
// readable bytes; `probabilities` points to `capacity` writable floats.
medforge_result medforge_classify_rgb(const medforge_classifier *classifier,
                                      const char *task,
                                      const uint8_t *pixels,
                                      uint32_t width,
                                      uint32_t height,
                                      size_t stride,
                                      size_t capacity,
                                      float *probabilities);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MEDFORGE_H */
