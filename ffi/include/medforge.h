/* MedForge: verifies signed bundles and classifies medical images on the device.
 *
 * Research software, no medical device.
 *
 * - Every function that can fail returns a medforge_result. Outputs come last and are written only on success.
 * - After a failure medforge_last_error() is one sentence saying what was wrong, for the calling thread.
 * - A medforge_classifier may be used by several threads at once; close it when the last one is done.
 * - Strings belong to the library: those of a classifier live until it is closed, those of results until these are freed.
 * - Structs that begin with struct_size may grow. Zero them and set it: fields that your header does not know keep their defaults.
 * - The library starts no thread, opens no socket, reads no environment variable and writes nothing unless it is asked to.
 *
 * Made by cbindgen from ffi/src; do not edit. SPDX-License-Identifier: MIT OR Apache-2.0 */

#ifndef MEDFORGE_H
#define MEDFORGE_H

#include <stddef.h>
#include <stdint.h>

// The first number of the version: changes when programs must be changed.
#define MEDFORGE_VERSION_MAJOR 0

// The second number: changes when something is added.
#define MEDFORGE_VERSION_MINOR 1

// The third number: changes when something is mended.
#define MEDFORGE_VERSION_PATCH 0

// What a function came to. Numbers are never reused: 1 to 19 are about the call, 50 to 59 about
// the device and the question asked. From 100 on they say what was refused: those are the
// classes of the format's documentation, under the same names.
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
  // A DICOM file is not read here: its transfer syntax, or what its pixels are.
  MEDFORGE_RESULT_DICOM_UNSUPPORTED = 12,
  // The classifier was opened by the process that this one was forked from.
  MEDFORGE_RESULT_OTHER_PROCESS = 13,
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
  // It would take more memory or work than is allowed here.
  MEDFORGE_RESULT_TOO_COSTLY = 278,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_result medforge_result;
#else
typedef uint32_t medforge_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why there should be no answer.
enum medforge_abstain
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // There is one.
  MEDFORGE_ABSTAIN_NONE = 0,
  // The image is of a kind that the task does not know.
  MEDFORGE_ABSTAIN_UNFAMILIAR = 1,
  // No class is as probable as the bundle asks for.
  MEDFORGE_ABSTAIN_UNSURE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_abstain medforge_abstain;
#else
typedef uint32_t medforge_abstain;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What an image is made of.
enum medforge_image_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Stored values, described by the fields from rows on.
  MEDFORGE_IMAGE_KIND_VALUES = 0,
  // A PNG, JPEG or TIFF file.
  MEDFORGE_IMAGE_KIND_FILE = 1,
  // A DICOM Part 10 file; frame says which of its frames.
  MEDFORGE_IMAGE_KIND_DICOM = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_image_kind medforge_image_kind;
#else
typedef uint32_t medforge_image_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What stored values mean (Photometric Interpretation).
enum medforge_photometric_interpretation
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Gray, the lowest value black.
  MEDFORGE_PHOTOMETRIC_INTERPRETATION_MONOCHROME2 = 0,
  // Gray, the lowest value white.
  MEDFORGE_PHOTOMETRIC_INTERPRETATION_MONOCHROME1 = 1,
  // Red, green, blue; samples is 3.
  MEDFORGE_PHOTOMETRIC_INTERPRETATION_RGB = 2,
  // Luminance and two chroma values of each pixel; samples is 3.
  MEDFORGE_PHOTOMETRIC_INTERPRETATION_YBR_FULL = 3,
  // A number into the three tables of palette.
  MEDFORGE_PHOTOMETRIC_INTERPRETATION_PALETTE_COLOR = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_photometric_interpretation medforge_photometric_interpretation;
#else
typedef uint32_t medforge_photometric_interpretation;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Which values are shown.
enum medforge_values_of_interest
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // All that the stored bits can have.
  MEDFORGE_VALUES_OF_INTEREST_RANGE = 0,
  // center and width, VOI LUT Function LINEAR.
  MEDFORGE_VALUES_OF_INTEREST_LINEAR = 1,
  // center and width, LINEAR_EXACT.
  MEDFORGE_VALUES_OF_INTEREST_LINEAR_EXACT = 2,
  // center and width, SIGMOID.
  MEDFORGE_VALUES_OF_INTEREST_SIGMOID = 3,
  // voi_lut.
  MEDFORGE_VALUES_OF_INTEREST_TABLE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_values_of_interest medforge_values_of_interest;
#else
typedef uint32_t medforge_values_of_interest;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How the modules of a selection act together.
enum medforge_selection_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The task's default.
  MEDFORGE_SELECTION_KIND_DEFAULT = 0,
  // No module: the frozen base and the task's head.
  MEDFORGE_SELECTION_KIND_FROZEN = 1,
  // One network: the sum of the modules, each times its weight.
  MEDFORGE_SELECTION_KIND_FUSION = 2,
  // A network for each module; the weighted sum of their probabilities.
  MEDFORGE_SELECTION_KIND_MIXTURE = 3,
  // As a mixture, weighted by what the image looks like.
  MEDFORGE_SELECTION_KIND_ROUTED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_selection_kind medforge_selection_kind;
#else
typedef uint32_t medforge_selection_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How much a line of the log matters.
enum medforge_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // A call that failed; the line is its sentence.
  MEDFORGE_LEVEL_ERROR = 1,
  // A bundle that was opened, added, replaced or unloaded, a default that was changed, and each
  // classification as JSON.
  MEDFORGE_LEVEL_INFO = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum medforge_level medforge_level;
#else
typedef uint32_t medforge_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A flag that another thread sets to give calls up.
typedef struct medforge_cancel medforge_cancel;

// Bundles that were verified and are ready to classify.
typedef struct medforge_classifier medforge_classifier;

// What a verified bundle says of itself, and who signed it.
typedef struct medforge_report medforge_report;

// Results of one call.
typedef struct medforge_results medforge_results;

// A function that is told a level (medforge_level), a line that lives until it returns, and what
// medforge_set_log was given.
typedef void (*medforge_log_callback)(uint32_t level, const char *line, void *user);

// A bundle in memory or in a file. Zero it, set struct_size to sizeof(medforge_source), then path
// or data.
typedef struct {
  // sizeof(medforge_source): what lies beyond it is not read.
  size_t struct_size;
  // A file. NULL: data is given.
  const char *path;
  // The bundle's bytes, of a buffer or a mapping; they are copied while it is verified, and not
  // needed after the call.
  const uint8_t *data;
  // Bytes of data.
  size_t length;
} medforge_source;

// Whom to trust and how to run. Zero it, set struct_size to sizeof(medforge_open_options), then
// what is wanted.
typedef struct {
  // sizeof(medforge_open_options): what lies beyond it is not read.
  size_t struct_size;
  // The public key or keys (SPKI PEM), or the trust file (TOML). This or trust_data must be
  // given.
  const char *trust_path;
  // What this device remembers, so that older bundles are refused: read if it is there, written
  // when a bundle was opened. Threads and processes take turns, by a lock on a file beside it,
  // of the same name and `.lock`, which stays. NULL: nothing.
  const char *state_path;
  // The time, UTC, such as "2026-01-31T23:59:59Z". NULL, on a device without a clock: no time is
  // looked at.
  const char *now;
  // The same as what trust_path names, in memory. NULL: there is a path.
  const uint8_t *trust_data;
  // Bytes of trust_data.
  size_t trust_length;
  // Threads of the classifier's own that classify, at most four for each processor. 0: none,
  // calls run on their caller's thread.
  uint32_t threads;
  // Not 0: each of those threads takes whole images, where a call has several. 0: all share each
  // image.
  uint32_t spread_images;
  // Not 0: in eight bits, if the bundle was measured so.
  uint32_t int8;
  // Bytes of memory that bundles may ask for: the file, weights, modules and what a call of one
  // image computes with. They are known before anything is loaded. More is
  // MEDFORGE_RESULT_TOO_COSTLY. Images are not counted, and neither is what medforge_replace
  // takes the place of. For this and the next field, medforge_add and medforge_replace keep to
  // what the classifier was opened with. 0: four times what the largest known base has in
  // memory, 32,000,000,000.
  uint64_t most_bytes;
  // Multiply-adds that bundles may ask for, for one image; their golden vectors may take 16
  // times as many. 0: likewise, 7,200,000,000,000.
  uint64_t most_operations;
} medforge_open_options;

// Which modules take part, and with what weight. All zeros: the task's default.
typedef struct {
  // A medforge_selection_kind.
  uint32_t kind;
  // Modules.
  size_t count;
  // Their ids.
  const char *const *modules;
  // Their weights. NULL: 1 each.
  const double *weights;
} medforge_selection;

// A report as a struct. Everything it points to lives until the report is freed.
typedef struct {
  // sizeof(medforge_report_view), set before the call: what lies beyond it is not written.
  size_t struct_size;
  // SHA-256 of the manifest, 64 hex digits.
  const char *id;
  // What people call the bundle.
  const char *name;
  // Counts the releases of this name.
  uint64_t counter;
  // When it was packed, UTC.
  const char *created;
  // For whom and what it is made.
  const char *intended_use;
  // Tasks.
  size_t task_count;
  // Modules.
  size_t module_count;
  // Trusted keys that signed.
  size_t signer_count;
  // Those public keys, in hex.
  const char *const *signers;
  // All of this with the whole manifest, as canonical JSON (RFC 8785).
  const char *json;
} medforge_report_view;

// What is refused for its size alone.
typedef struct {
  // sizeof(medforge_limits), set before the call: what lies beyond it is not written.
  size_t struct_size;
  // Bytes of a bundle.
  uint64_t bundle;
  // Pixels of an image.
  uint64_t pixels;
  // Entries of a bundle.
  uint64_t entries;
  // Signatures of a bundle.
  uint64_t signatures;
} medforge_limits;

// A lookup table. The first entry is for first_value and all below, the last one for all above.
typedef struct {
  // The value that the first entry is for.
  int32_t first_value;
  // Bits of an entry, 8 to 16.
  uint32_t bits;
  // Entries.
  size_t count;
  // The entries.
  const uint16_t *entries;
} medforge_lut;

// An image. Zero it, set struct_size to sizeof(medforge_image), then what it has. Zeros mean:
// stored values, unsigned, little-endian, gray, rows without gaps, all bits stored, slope 1, the
// whole range shown.
typedef struct {
  // sizeof(medforge_image): what lies beyond it is not read.
  size_t struct_size;
  // A medforge_image_kind.
  uint32_t kind;
  // Of a DICOM file, or of stored values with several frames one after another: which of them,
  // counted from 0.
  uint32_t frame;
  // The stored values, or the file. Not NULL.
  const void *data;
  // Bytes of data.
  size_t length;
  // Height in pixels.
  uint32_t rows;
  // Width in pixels.
  uint32_t columns;
  // Bytes from one row to the next of the same plane. 0: rows follow one another.
  size_t stride;
  // A medforge_photometric_interpretation.
  uint32_t photometric;
  // Samples of a pixel. 0: as many as photometric has.
  uint32_t samples;
  // Not 0: all of one colour, then all of the next (Planar Configuration 1).
  uint32_t planar;
  // 8, 16 or 32.
  uint32_t bits_allocated;
  // How many of them count. 0: all.
  uint32_t bits_stored;
  // Where the highest of those is, counted from 0. 0: bits_stored - 1.
  uint32_t high_bit;
  // Not 0: two's complement (Pixel Representation 1).
  uint32_t is_signed;
  // Not 0: the first byte of a value is the highest.
  uint32_t big_endian;
  // Rescale Slope. 0: 1.
  double rescale_slope;
  // Rescale Intercept.
  double rescale_intercept;
  // Modality LUT, in place of slope and intercept; NULL: none.
  const medforge_lut *modality_lut;
  // A medforge_values_of_interest.
  uint32_t voi;
  // Not 0: values from padding_first to padding_last are no part of the picture.
  uint32_t has_padding;
  // Window Center.
  double window_center;
  // Window Width.
  double window_width;
  // VOI LUT; NULL: none.
  const medforge_lut *voi_lut;
  // Red, green and blue.
  const medforge_lut *palette[3];
  // Pixel Padding Value, or the lower end of its range.
  int64_t padding_first;
  // The upper end of that range; the same where there is none.
  int64_t padding_last;
} medforge_image;

// How to classify. Zero it, set struct_size to sizeof(medforge_classify_options), then what is
// wanted.
typedef struct {
  // sizeof(medforge_classify_options): what lies beyond it is not read.
  size_t struct_size;
  // The task. NULL: the only one, or, where the bundle tells tasks by their looks, the image's
  // likeliest.
  const char *task;
  // Which modules take part. NULL: the task's default.
  const medforge_selection *selection;
  // Gives the call up when it is cancelled. NULL: nothing does.
  const medforge_cancel *cancel;
  // The call is given up after so many milliseconds. 0: never.
  uint64_t timeout_ms;
} medforge_classify_options;

// A concept of a coding scheme.
typedef struct {
  // The coding scheme, such as "SCT".
  const char *scheme;
  // The code.
  const char *value;
  // What it means.
  const char *meaning;
} medforge_code;

// What was found in one image, and with what. Everything it points to lives until its results are
// freed.
typedef struct {
  // sizeof(medforge_classification), set before the call: what lies beyond it is not written.
  size_t struct_size;
  // The task.
  const char *task;
  // Classes.
  size_t class_count;
  // Their names.
  const char *const *class_names;
  // What they are in a coding scheme; NULL where the bundle does not say it.
  const medforge_code *class_codes;
  // Their probabilities, which sum to 1.
  const float *probabilities;
  // The most probable class; the first of equals.
  size_t top;
  // The id of the bundle.
  const char *bundle_id;
  // The id of base, head, modules and weights together.
  const char *composition_id;
  // A UID that changes when bundle or composition does: a DICOM Device UID.
  const char *device_uid;
  // Modules that took part.
  size_t module_count;
  // Their ids.
  const char *const *module_ids;
  // Their weights for this image.
  const double *module_weights;
  // Trusted keys that signed the bundle.
  size_t signer_count;
  // Those public keys, in hex.
  const char *const *signers;
  // SHA-256 of the pixels, in hex: of stored values without gaps between rows, or of an image
  // file's RGB.
  const char *pixels_sha256;
  // Resizing and normalising, in nanoseconds.
  uint64_t preprocessing_ns;
  // The base, for all images of the call together, in nanoseconds.
  uint64_t base_ns;
  // All of this as one line of canonical JSON (RFC 8785), for audit logs.
  const char *json;
  // 1 where the task was calibrated for what it ran with, else 0: then the next three say
  // nothing.
  int32_t calibrated;
  // Whether there should be no answer, and why. Probabilities are given all the same, for the
  // record.
  medforge_abstain abstain;
  // The out-of-distribution score: how far the image is from those that the task was trained on,
  // which have about 1.
  double ood_score;
  // The score above which an image is unfamiliar.
  double ood_threshold;
  // Notes about the image's file.
  size_t note_count;
  // Notes on a DICOM file, a sentence each: what broke the standard and was read all the same,
  // and which of several frames this is.
  const char *const *notes;
} medforge_classification;

// Where in an image a result comes from: how much of the base's answer was mixed from each patch
// (attention rollout over the last three blocks). It says where the network looked, and not for
// which class. It is a weak sign, no segmentation, and no evidence that the answer is right. What
// it points to lives until its results are freed.
typedef struct {
  // sizeof(medforge_map), set before the call: what lies beyond it is not written.
  size_t struct_size;
  // Patches a side.
  size_t grid;
  // grid * grid values, rows from the top: at least 0 each, and 1 together.
  const float *values;
  // The left edge of the part of the image that the grid lies over, in pixels of the image as it
  // was given. What is beside that part was cut off and not seen; with black beside the image it
  // is below 0.
  double left;
  // The part's top edge.
  double top;
  // The part's width.
  double width;
  // The part's height.
  double height;
} medforge_map;

// Bytes in memory.
typedef struct {
  // sizeof(medforge_memory), set before the call: what lies beyond it is not written.
  size_t struct_size;
  // The base's weights.
  size_t base;
  // Modules, and what defaults have laid out of them.
  size_t modules;
  // Buffers that wait for the next call.
  size_t scratch;
} medforge_memory;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The name of a result, such as "WRONG_KEY"; "UNKNOWN" for a number that is none. Never NULL.
const char *medforge_result_name(uint32_t result);

// The version of the library, such as "0.1.0". Never NULL.
const char *medforge_version(void);

// What was wrong in this thread's last call that failed: one sentence, empty if none has. Never
// NULL; valid until this thread's next failure.
const char *medforge_last_error(void);

// Tells `callback` from now on what happens, in all threads, on the thread where it happens,
// before that call returns; NULL: nobody. Once this returns, the function before is not called any
// more. The callback must not call this library.
//
// # Safety
// `callback` may be called from any thread with `user`.
void medforge_set_log(medforge_log_callback callback, void *user);

// Verifies the bundle in the file `bundle_path` against the file `trust_path`, loads it and checks
// this device against its golden vectors. `trust_path` is the public key or keys (SPKI PEM), or
// the trust file (TOML). No time is looked at and nothing is remembered: medforge_open_with does
// both.
//
// # Safety
// Both paths are NUL-terminated strings; `classifier` points to a writable pointer.
medforge_result medforge_open(const char *bundle_path,
                              const char *trust_path,
                              medforge_classifier **classifier);

// Verifies and loads a bundle as `options` say, and checks this device against its golden vectors.
//
// # Safety
// `source` and `options` point to structs that begin with their sizes and whose pointers are NULL
// or point to what their fields say; `classifier` points to a writable pointer.
medforge_result medforge_open_with(const medforge_source *source,
                                   const medforge_open_options *options,
                                   medforge_classifier **classifier);

// Adds the modules and tasks of a bundle with the same base to an open classifier, while other
// threads classify. How it runs stays as it was opened.
//
// # Safety
// `classifier` is open; `source` and `options` as for medforge_open_with.
medforge_result medforge_add(const medforge_classifier *classifier,
                             const medforge_source *source,
                             const medforge_open_options *options);

// Goes on with another bundle alone, while other threads classify; a base that is the same stays
// as it is in memory.
//
// # Safety
// As for medforge_add.
medforge_result medforge_replace(const medforge_classifier *classifier,
                                 const medforge_source *source,
                                 const medforge_open_options *options);

// Lets go of a bundle: of its tasks, and of modules that no other bundle brought. Calls under way
// finish with them.
//
// # Safety
// `classifier` is open; `bundle` is a NUL-terminated string.
medforge_result medforge_unload(const medforge_classifier *classifier, const char *bundle);

// What `task` runs with from now on where a call says nothing else.
//
// # Safety
// `classifier` is open; `task` is a NUL-terminated string; `selection` points to a selection with
// as many modules and weights as it says.
medforge_result medforge_set_default(const medforge_classifier *classifier,
                                     const char *task,
                                     const medforge_selection *selection);

// Whether the trust file `next_path`, with its signatures, may take the place of `trust_path` at
// the time `now` (NULL: no time is looked at). No file is changed: the caller replaces it.
//
// # Safety
// All paths are NUL-terminated strings; `now` is one or NULL.
medforge_result medforge_trust_follows(const char *trust_path,
                                       const char *next_path,
                                       const char *signatures_path,
                                       const char *now);

// Verifies a bundle as `options` say and loads nothing. The frame, signatures, trust, manifest and
// every byte are checked; the golden vectors are not run. With options->state_path older bundles
// are refused, and this one is remembered.
//
// # Safety
// As for medforge_open_with; `report` points to a writable pointer.
medforge_result medforge_verify(const medforge_source *source,
                                const medforge_open_options *options,
                                medforge_report **report);

// The report as a struct.
//
// # Safety
// `report` came from medforge_verify and is not freed; `view` points to a struct that begins with
// its size.
medforge_result medforge_report_get(const medforge_report *report, medforge_report_view *view);

// Frees a report. NULL is allowed.
//
// # Safety
// `report` is NULL or came from medforge_verify, and nobody uses it any more.
void medforge_report_free(medforge_report *report);

// What is refused for its size alone.
//
// # Safety
// `limits` points to a struct that begins with its size.
medforge_result medforge_limits_get(medforge_limits *limits);

// Makes a flag that is not set.
//
// # Safety
// `cancel` points to a writable pointer.
medforge_result medforge_cancel_new(medforge_cancel **cancel);

// Gives up all calls that have this flag, now and from now on; any thread may do it.
//
// # Safety
// `cancel` came from medforge_cancel_new and is not freed.
medforge_result medforge_cancel_set(const medforge_cancel *cancel);

// Frees a flag. NULL is allowed.
//
// # Safety
// `cancel` is NULL or came from medforge_cancel_new, and nobody sets it any more. Calls that have
// it may still run.
void medforge_cancel_free(medforge_cancel *cancel);

// Classifies `image_count` images as `options` say (NULL: the default of the only task), all with
// the same set of modules. All are classified or none.
//
// # Safety
// `classifier` is open; `images` points to as many images, each with pointers that reach as far as
// it says; `options` is NULL or points to options; `results` points to a writable pointer.
medforge_result medforge_classify(const medforge_classifier *classifier,
                                  const medforge_image *images,
                                  size_t image_count,
                                  const medforge_classify_options *options,
                                  medforge_results **results);

// As medforge_classify, with the same answers to the last bit; each result also has a map, which
// medforge_results_map gives.
//
// # Safety
// As for medforge_classify.
medforge_result medforge_explain(const medforge_classifier *classifier,
                                 const medforge_image *images,
                                 size_t image_count,
                                 const medforge_classify_options *options,
                                 medforge_results **results);

// How many results there are: as many as images were given.
//
// # Safety
// `results` came from medforge_classify and is not freed; `count` points to a writable size_t.
medforge_result medforge_results_count(const medforge_results *results, size_t *count);

// Result `index`, counted from 0. What it points to lives until the results are freed.
//
// # Safety
// `results` came from medforge_classify and is not freed; `classification` points to a struct that
// begins with its size.
medforge_result medforge_results_get(const medforge_results *results,
                                     size_t index,
                                     medforge_classification *classification);

// Where in its image result `index`, counted from 0, comes from. Results of medforge_classify have
// no map.
//
// # Safety
// `results` came from medforge_explain or medforge_classify and is not freed; `map` points to a
// struct that begins with its size.
medforge_result medforge_results_map(const medforge_results *results,
                                     size_t index,
                                     medforge_map *map);

// Frees results. NULL is allowed.
//
// # Safety
// `results` is NULL or came from medforge_classify, and nobody uses it any more.
void medforge_results_free(medforge_results *results);

// Closes a classifier and frees its memory. NULL is allowed. In a child of fork() nothing is
// freed: what is behind it waits for threads of the parent.
//
// # Safety
// `classifier` is NULL or came from medforge_open, and no thread uses it any more.
void medforge_close(medforge_classifier *classifier);

// What the classifier takes of memory, by part.
//
// # Safety
// `classifier` is open; `memory` points to a struct that begins with its size.
medforge_result medforge_memory_use(const medforge_classifier *classifier, medforge_memory *memory);

// Classifies an image of any size: rows of `width` RGB triples of bytes, `stride` bytes from one
// row to the next. Writes the probability of each class of `task`, in the order of their indices,
// to `probabilities`, which has room for `capacity` values. A NULL task is the only one.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; `pixels` points to (height - 1)
// * stride + 3 * width readable bytes; `probabilities` points to `capacity` writable floats.
medforge_result medforge_classify_rgb(const medforge_classifier *classifier,
                                      const char *task,
                                      const uint8_t *pixels,
                                      uint32_t width,
                                      uint32_t height,
                                      size_t stride,
                                      size_t capacity,
                                      float *probabilities);

// The number of bundles: one, unless others were added.
//
// # Safety
// `classifier` is open; `count` points to a writable size_t.
medforge_result medforge_bundle_count(const medforge_classifier *classifier, size_t *count);

// The id of bundle `index`, in order of their ids: SHA-256 of its manifest, 64 hex digits. Lists
// change when bundles are added or unloaded.
//
// # Safety
// `classifier` is open; `id` points to a writable pointer.
medforge_result medforge_bundle_id(const medforge_classifier *classifier,
                                   size_t index,
                                   const char **id);

// The manifest of a bundle as canonical JSON: everything that its maker says of it.
//
// # Safety
// `classifier` is open; `bundle` is a NUL-terminated string; `json` points to a writable pointer.
medforge_result medforge_manifest(const medforge_classifier *classifier,
                                  const char *bundle,
                                  const char **json);

// The number of tasks.
//
// # Safety
// `classifier` is open; `count` points to a writable size_t.
medforge_result medforge_task_count(const medforge_classifier *classifier, size_t *count);

// The name of task `index`, in order of their names.
//
// # Safety
// `classifier` is open; `name` points to a writable pointer.
medforge_result medforge_task_name(const medforge_classifier *classifier,
                                   size_t index,
                                   const char **name);

// The number of modules.
//
// # Safety
// `classifier` is open; `count` points to a writable size_t.
medforge_result medforge_module_count(const medforge_classifier *classifier, size_t *count);

// The id of module `index`, in order of their ids.
//
// # Safety
// `classifier` is open; `id` points to a writable pointer.
medforge_result medforge_module_id(const medforge_classifier *classifier,
                                   size_t index,
                                   const char **id);

// What `task` (NULL: the only one) runs with by default: a medforge_selection_kind and the number
// of modules.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; both outputs can be written.
medforge_result medforge_default(const medforge_classifier *classifier,
                                 const char *task,
                                 uint32_t *kind,
                                 size_t *module_count);

// Module `index` of what `task` (NULL: the only one) runs with by default: its id and weight.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; both outputs can be written.
medforge_result medforge_default_module(const medforge_classifier *classifier,
                                        const char *task,
                                        size_t index,
                                        const char **id,
                                        double *weight);

// The number of classes of `task`; a NULL task is the only one.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; `count` points to a writable
// size_t.
medforge_result medforge_class_count(const medforge_classifier *classifier,
                                     const char *task,
                                     size_t *count);

// The name of class `index` of `task`, counted from 0; a NULL task is the only one.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; `name` points to a writable
// pointer.
medforge_result medforge_class_name(const medforge_classifier *classifier,
                                    const char *task,
                                    size_t index,
                                    const char **name);

// What class `index` of `task` is in a coding scheme; three NULLs where the bundle does not say
// it.
//
// # Safety
// `classifier` is open; `task` is NULL or a NUL-terminated string; all outputs can be written.
medforge_result medforge_class_code(const medforge_classifier *classifier,
                                    const char *task,
                                    size_t index,
                                    const char **scheme,
                                    const char **value,
                                    const char **meaning);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MEDFORGE_H */
