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

// What a function came to. Numbers are never reused: 1 to 19 the call, 50 to 59 the device and the question asked, 100 and up what was
// refused: those are the classes of the format's documentation, under the same names.
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
  MEDFORGE_RESULT_STRING_NOT_UTF8 = 2,
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
  // Width, height, stride and pointer do not make an image.
  MEDFORGE_RESULT_PIXELS = 9,
  // The image cannot be brought to the size that the bundle asks for.
  MEDFORGE_RESULT_PREPROCESSING = 10,
  // An image file does not decode.
  MEDFORGE_RESULT_IMAGE = 11,
  // The computation failed.
  MEDFORGE_RESULT_DEVICE = 51,
  // The bundle has no such task.
  MEDFORGE_RESULT_UNKNOWN_TASK = 52,
  // The bundle has several tasks and none was named.
  MEDFORGE_RESULT_TASK_NEEDED = 53,
  // No such module is loaded.
  MEDFORGE_RESULT_UNKNOWN_MODULE = 54,
  // A selection of modules that cannot be run.
  MEDFORGE_RESULT_SELECTION = 55,
  // A change of what a classifier runs with that was not made.
  MEDFORGE_RESULT_UNCHANGED = 56,
  // The call was cancelled, or its deadline passed.
  MEDFORGE_RESULT_CANCELLED = 57,
  // The bundle does not run in as many bits as it was asked to.
  MEDFORGE_RESULT_PRECISION = 58,
  // The system has less memory than is needed.
  MEDFORGE_RESULT_MEMORY = 59,
  // The file is no ZIP archive at all.
  MEDFORGE_RESULT_NOT_AN_ARCHIVE = 100,
  // The file ends before the archive does: it was cut off, or bytes were taken out of it.
  MEDFORGE_RESULT_TRUNCATED = 101,
  // Something stands before the archive, which some programs would run or read.
  MEDFORGE_RESULT_PREPENDED = 102,
  // Something stands after the archive, which some programs would read.
  MEDFORGE_RESULT_TRAILING = 103,
  // There are two end records, and programs differ in which they believe.
  MEDFORGE_RESULT_TWO_EOCD = 104,
  // The archive's comment holds an end record, which some programs believe.
  MEDFORGE_RESULT_EOCD_IN_COMMENT = 105,
  // A ZIP64 record gives second copies of numbers, and programs differ in which they believe.
  MEDFORGE_RESULT_ZIP64_EOCD_DISAGREES = 106,
  // A ZIP64 record gives sizes beyond the file.
  MEDFORGE_RESULT_ZIP64_HUGE = 107,
  // The end record gives another number of entries than the directory has.
  MEDFORGE_RESULT_COUNT_WRONG = 108,
  // The archive says that it continues on another disk.
  MEDFORGE_RESULT_MULTI_DISK = 109,
  // Bytes that no entry owns stand between entries.
  MEDFORGE_RESULT_GAP_ENTRIES = 110,
  // Bytes that no record owns stand between the directory and the end record.
  MEDFORGE_RESULT_GAP_BEFORE_EOCD = 111,
  // The archive has a comment, which nothing signs or shows.
  MEDFORGE_RESULT_ARCHIVE_COMMENT = 112,
  // There are more entries than the format allows.
  MEDFORGE_RESULT_TOO_MANY_ENTRIES = 113,
  // The file is larger than the format allows.
  MEDFORGE_RESULT_TOO_LARGE = 114,
  // The entries are not in the one order that the format has.
  MEDFORGE_RESULT_ENTRY_ORDER = 115,
  // A byte between the entries' data is not the one that the format has there.
  MEDFORGE_RESULT_NONCANONICAL_FRAME = 116,
  // Two entries have one name, and programs differ in which they take.
  MEDFORGE_RESULT_DUP_NAME = 130,
  // An entry's own header and the directory give it different names.
  MEDFORGE_RESULT_LFH_NAME_DIFFERS = 131,
  // An entry's own header and the directory give it different sizes.
  MEDFORGE_RESULT_LFH_SIZE_DIFFERS = 132,
  // An entry's own header and the directory give it different checksums.
  MEDFORGE_RESULT_LFH_CRC_DIFFERS = 133,
  // An entry's own header and the directory give it different compressions.
  MEDFORGE_RESULT_LFH_METHOD_DIFFERS = 134,
  // An entry's sizes stand after its data, where they can lie.
  MEDFORGE_RESULT_DESCRIPTOR_LIES = 135,
  // An entry is encrypted, or says so.
  MEDFORGE_RESULT_ENCRYPTED_FLAG = 136,
  // An entry is compressed.
  MEDFORGE_RESULT_BAD_METHOD = 137,
  // A compressed entry has bytes after the end of its stream.
  MEDFORGE_RESULT_DEFLATE_TRAILING = 138,
  // Two entries are one and the same bytes.
  MEDFORGE_RESULT_OVERLAP_FULL = 139,
  // An entry's data holds the header of the next one.
  MEDFORGE_RESULT_OVERLAP_QUOTED = 140,
  // An entry's data reaches into the directory.
  MEDFORGE_RESULT_OVERLAP_CD = 141,
  // A compressed entry would grow more than a hundredfold.
  MEDFORGE_RESULT_BOMB_RATIO = 142,
  // An entry that is not compressed gives two different sizes.
  MEDFORGE_RESULT_SIZE_LIES = 143,
  // An entry's checksum is not that of its data.
  MEDFORGE_RESULT_BAD_CRC = 144,
  // An extra field gives an entry a second name.
  MEDFORGE_RESULT_UNICODE_PATH_EXTRA = 145,
  // An entry has a comment, which nothing signs or shows.
  MEDFORGE_RESULT_ENTRY_COMMENT = 146,
  // A name climbs out of its folder.
  MEDFORGE_RESULT_DOTDOT = 160,
  // A name begins at the root of the file system.
  MEDFORGE_RESULT_ABSOLUTE = 161,
  // A name has a backslash, a separator on some systems only.
  MEDFORGE_RESULT_BACKSLASH = 162,
  // A name begins with a drive.
  MEDFORGE_RESULT_DRIVE_LETTER = 163,
  // A name has a NUL, where C programs end it.
  MEDFORGE_RESULT_NUL = 164,
  // A name is empty.
  MEDFORGE_RESULT_EMPTY_NAME = 165,
  // A part of a name begins with a dot.
  MEDFORGE_RESULT_DOT_SEGMENT = 166,
  // A part of a name is empty.
  MEDFORGE_RESULT_DOUBLE_SLASH = 167,
  // Two names differ in case alone and are one on some systems.
  MEDFORGE_RESULT_CASE_TWIN = 168,
  // Two names differ in their spelling of accents alone and are one on some systems.
  MEDFORGE_RESULT_NFC_NFD_TWIN = 169,
  // A name is not UTF-8.
  MEDFORGE_RESULT_BAD_UTF8 = 170,
  // A name is a device on Windows.
  MEDFORGE_RESULT_WIN_RESERVED = 171,
  // A name has a colon, which hides a second stream on Windows.
  MEDFORGE_RESULT_ADS_STREAM = 172,
  // A name is longer than the format allows.
  MEDFORGE_RESULT_LONG_NAME = 173,
  // An entry is a symbolic link.
  MEDFORGE_RESULT_SYMLINK = 174,
  // An entry is a folder, and has data.
  MEDFORGE_RESULT_DIR_WITH_DATA = 175,
  // An entry is a folder.
  MEDFORGE_RESULT_DIR_ENTRY = 176,
  // A name has a character that the format does not allow.
  MEDFORGE_RESULT_BAD_NAME = 177,
  // A key stands twice, and programs differ in which they take.
  MEDFORGE_RESULT_DUP_JSON_KEY = 190,
  // A key is unknown, so it may mean something that is not done here.
  MEDFORGE_RESULT_UNKNOWN_FIELD = 191,
  // The format, or its version, is not one that is read here.
  MEDFORGE_RESULT_UNKNOWN_FORMAT_VERSION = 192,
  // Values are nested deeper than the format allows.
  MEDFORGE_RESULT_DEEP_JSON = 193,
  // The text is not UTF-8.
  MEDFORGE_RESULT_NOT_UTF8 = 194,
  // The same content has other bytes than RFC 8785 gives it.
  MEDFORGE_RESULT_NONCANONICAL = 195,
  // An entry that must be there is not.
  MEDFORGE_RESULT_MISSING_ENTRY = 196,
  // An entry is there that the manifest does not name.
  MEDFORGE_RESULT_EXTRA_ENTRY = 197,
  // An entry's bytes are not those that were signed.
  MEDFORGE_RESULT_HASH_MISMATCH = 198,
  // An entry is longer or shorter than what was signed.
  MEDFORGE_RESULT_LENGTH_MISMATCH = 199,
  // It was signed as another kind of document.
  MEDFORGE_RESULT_TYPE_CONFUSION = 200,
  // Manifest.json and signatures.json do not belong together: one was changed, or they come from two bundles.
  MEDFORGE_RESULT_MIXED_BUNDLES = 201,
  // It is not JSON of the form that the format has.
  MEDFORGE_RESULT_BAD_JSON = 202,
  // It is longer than the format allows.
  MEDFORGE_RESULT_JSON_TOO_LARGE = 203,
  // The manifest contradicts itself, or a value is out of range.
  MEDFORGE_RESULT_CONTRADICTION = 204,
  // Nobody has signed it.
  MEDFORGE_RESULT_UNSIGNED = 220,
  // No key that is trusted for this has signed it.
  MEDFORGE_RESULT_WRONG_KEY = 221,
  // A key that signed it was revoked.
  MEDFORGE_RESULT_REVOKED_KEY = 222,
  // A key is of small order: one signature by it fits any message.
  MEDFORGE_RESULT_WEAK_KEY = 223,
  // A signature's first half is of small order, which no signer makes.
  MEDFORGE_RESULT_SMALL_ORDER_R = 224,
  // A key is in another spelling than the one that RFC 8032 gives it.
  MEDFORGE_RESULT_NONCANONICAL_A = 225,
  // A signature's second half is not reduced: it is a copy that somebody made without the key.
  MEDFORGE_RESULT_S_PLUS_L = 226,
  // A key or signature has the wrong length.
  MEDFORGE_RESULT_BAD_LENGTH = 227,
  // One key stands twice among the signatures, as if two had signed.
  MEDFORGE_RESULT_DUP_SIGNATURE_THRESHOLD = 228,
  // One key stands in the trust file under two names, as if it were two.
  MEDFORGE_RESULT_SAME_KEY_TWO_IDS = 229,
  // The trust file gives a key an id that is not its own.
  MEDFORGE_RESULT_KEYID_LIES = 230,
  // An older version than the newest that this device, or the trust file, knows.
  MEDFORGE_RESULT_ROLLBACK = 231,
  // A version so far ahead that every later release would be refused.
  MEDFORGE_RESULT_FAST_FORWARD = 232,
  // The trust file, or a key that signed, is not valid at this time.
  MEDFORGE_RESULT_EXPIRED = 233,
  // The clock shows an earlier time than it did before.
  MEDFORGE_RESULT_CLOCK_BACKWARDS = 234,
  // The state file holds what no accepted bundle left there.
  MEDFORGE_RESULT_REJECTED_STATE_CACHED = 235,
  // A new trust file does not follow the one before it.
  MEDFORGE_RESULT_ROOT_VERSION_SKIP = 236,
  // A new trust file is not signed by enough keys of the one before it.
  MEDFORGE_RESULT_TRUST_ROTATION_UNSIGNED = 237,
  // Some trusted keys have signed, and fewer than must.
  MEDFORGE_RESULT_BELOW_THRESHOLD = 238,
  // There are more signatures than the format allows.
  MEDFORGE_RESULT_TOO_MANY_SIGNATURES = 239,
  // The list of signatures is not one that a signer makes.
  MEDFORGE_RESULT_BAD_SIGNATURES = 240,
  // This very bundle was revoked.
  MEDFORGE_RESULT_REVOKED_BUNDLE = 241,
  // The trust file is not one that can be used.
  MEDFORGE_RESULT_BAD_TRUST_FILE = 242,
  // Two tensors of a file share bytes.
  MEDFORGE_RESULT_ST_OVERLAP = 260,
  // Bytes of a tensor file belong to no tensor.
  MEDFORGE_RESULT_ST_HOLE = 261,
  // Bytes follow the last tensor of a file.
  MEDFORGE_RESULT_ST_TRAILING = 262,
  // A tensor file has a key twice, and libraries take the last.
  MEDFORGE_RESULT_ST_DUP_KEY = 263,
  // A shape is beyond the address space, or does not fit its bytes.
  MEDFORGE_RESULT_ST_SHAPE_OVERFLOW = 264,
  // A tensor file's header is longer than the file or than is safe.
  MEDFORGE_RESULT_ST_HUGE_HEADER = 265,
  // A value is not a number, and would spread to every result.
  MEDFORGE_RESULT_NAN_WEIGHT = 266,
  // A value is infinite, and would spread to every result.
  MEDFORGE_RESULT_INF_WEIGHT = 267,
  // A module is for another base.
  MEDFORGE_RESULT_MODULE_WRONG_BASE = 268,
  // Tensors do not have the shapes that the base and the manifest give them.
  MEDFORGE_RESULT_MODULE_WRONG_SHAPE = 269,
  // A module changes a layer that the base does not have.
  MEDFORGE_RESULT_MODULE_UNKNOWN_SITE = 270,
  // The graph cannot be read.
  MEDFORGE_RESULT_ONNX_MALFORMED = 271,
  // The graph names another file to read weights from.
  MEDFORGE_RESULT_ONNX_EXTERNAL_DATA_PATH = 272,
  // This device computes something else than the maker of the bundle did.
  MEDFORGE_RESULT_GOLDEN_MISMATCH = 273,
  // A tensor file is damaged, or not one at all.
  MEDFORGE_RESULT_ST_MALFORMED = 274,
  // A tensor is of a type or shape that is not read here.
  MEDFORGE_RESULT_ST_UNUSABLE = 275,
  // The graph is not one that a base needs.
  MEDFORGE_RESULT_ONNX_REFUSED = 276,
  // Tensors are missing or left over.
  MEDFORGE_RESULT_TENSORS_MISFIT = 277,
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

// How to open a bundle. Zero it, set struct_size to sizeof(medforge_open_options), then what is wanted.
typedef struct {
  // sizeof(medforge_open_options): what lies beyond it is not read.
  size_t struct_size;
  // The public key or keys (SPKI PEM), or the trust file (TOML). Not NULL.
  const char *trust_path;
  // What this device remembers, so that older bundles are refused: read if it is there, written when a bundle was opened. Threads take
  // turns; two processes must not share one. NULL: nothing.
  const char *state_path;
  // The time, UTC, such as "2026-01-31T23:59:59Z". NULL, on a device without a clock: no time is looked at.
  const char *now;
} medforge_open_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The name of a result, such as "WRONG_KEY"; "UNKNOWN" for a number that is none. Never NULL.
const char *medforge_result_name(uint32_t result);

// The version of the library, such as "0.1.0". Never NULL.
const char *medforge_version(void);

// What was wrong in this thread's last call that failed: one sentence, empty if none has. Never NULL; valid until this
// thread's next failure.
const char *medforge_last_error(void);

// Verifies the bundle in the file `bundle_path` against the public key or keys (SPKI PEM), or the trust file (TOML), in the file
// `trust_path`, loads it and checks this device against its golden vectors. No time is looked at and nothing is remembered:
// medforge_open_with does both.
//
// # Safety
// Both paths are NUL-terminated strings; `classifier` points to a writable pointer.
medforge_result medforge_open(const char *bundle_path,
                              const char *trust_path,
                              medforge_classifier **classifier);

// Verifies and loads the bundle in the file `bundle_path` as `options` say, and checks this device against its golden vectors.
//
// # Safety
// `bundle_path` and every path and time of `options` are NUL-terminated strings, or NULL where that is allowed; `options` points to
// struct_size readable bytes; `classifier` points to a writable pointer.
medforge_result medforge_open_with(const char *bundle_path,
                                   const medforge_open_options *options,
                                   medforge_classifier **classifier);

// Whether the trust file `next_path`, with its signatures, may take the place of `trust_path` at the time `now` (NULL: no time is looked at).
// No file is changed: the caller replaces it.
//
// # Safety
// All paths are NUL-terminated strings; `now` is one or NULL.
medforge_result medforge_trust_follows(const char *trust_path,
                                       const char *next_path,
                                       const char *signatures_path,
                                       const char *now);

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
