//! The one table of refusal classes: number, name and sentence of each.

/// Hands every class to the macro `$then`, after the rows that the caller puts before them. A row
/// is `NUMBER Variant "name" "what it means, as the middle of a sentence";`.
///
/// The runtime makes its own enum of the table, and the C API its codes.
#[macro_export]
macro_rules! refusal_classes {
    ($then:ident! { $($before:tt)* }) => {
        $then! {
            $($before)*
            // --- The archive as a whole ---
            100 NotAnArchive "not_an_archive" "the file is no ZIP archive at all";
            101 Truncated "truncated"
                "the file ends before the archive does: it was cut off, or bytes were taken out of \
                 it";
            102 Prepended "prepended"
                "something stands before the archive, which some programs would run or read";
            103 Trailing "trailing"
                "something stands after the archive, which some programs would read";
            104 TwoEocd "two_eocd"
                "there are two end records, and programs differ in which they believe";
            105 EocdInComment "eocd_in_comment"
                "the archive's comment holds an end record, which some programs believe";
            106 Zip64EocdDisagrees "zip64_eocd_disagrees"
                "a ZIP64 record gives second copies of numbers, and programs differ in which they \
                 believe";
            107 Zip64Huge "zip64_huge" "a ZIP64 record gives sizes beyond the file";
            108 CountWrong "count_wrong"
                "the end record gives another number of entries than the directory has";
            109 MultiDisk "multi_disk" "the archive says that it continues on another disk";
            110 GapEntries "gap_entries" "bytes that no entry owns stand between entries";
            111 GapBeforeEocd "gap_before_eocd"
                "bytes that no record owns stand between the directory and the end record";
            112 ArchiveComment "archive_comment"
                "the archive has a comment, which nothing signs or shows";
            113 TooManyEntries "too_many_entries" "there are more entries than the format allows";
            114 TooLarge "too_large" "the file is larger than the format allows";
            115 EntryOrder "entry_order" "the entries are not in the one order that the format has";
            116 NoncanonicalFrame "noncanonical_frame"
                "a byte between the entries' data is not the one that the format has there";
            // --- Entries of the archive ---
            130 DupName "dup_name"
                "two entries have one name, and programs differ in which they take";
            131 LfhNameDiffers "lfh_name_differs"
                "an entry's own header and the directory give it different names";
            132 LfhSizeDiffers "lfh_size_differs"
                "an entry's own header and the directory give it different sizes";
            133 LfhCrcDiffers "lfh_crc_differs"
                "an entry's own header and the directory give it different checksums";
            134 LfhMethodDiffers "lfh_method_differs"
                "an entry's own header and the directory give it different compressions";
            135 DescriptorLies "descriptor_lies"
                "an entry's sizes stand after its data, where they can lie";
            136 EncryptedFlag "encrypted_flag" "an entry is encrypted, or says so";
            137 BadMethod "bad_method" "an entry is compressed";
            138 DeflateTrailing "deflate_trailing"
                "a compressed entry has bytes after the end of its stream";
            139 OverlapFull "overlap_full" "two entries are one and the same bytes";
            140 OverlapQuoted "overlap_quoted" "an entry's data holds the header of the next one";
            141 OverlapCd "overlap_cd" "an entry's data reaches into the directory";
            142 BombRatio "bomb_ratio" "a compressed entry would grow more than a hundredfold";
            143 SizeLies "size_lies" "an entry that is not compressed gives two different sizes";
            144 BadCrc "bad_crc" "an entry's checksum is not that of its data";
            145 UnicodePathExtra "unicode_path_extra" "an extra field gives an entry a second name";
            146 EntryComment "entry_comment" "an entry has a comment, which nothing signs or shows";
            // --- Names of entries ---
            160 Dotdot "dotdot" "a name climbs out of its folder";
            161 Absolute "absolute" "a name begins at the root of the file system";
            162 Backslash "backslash" "a name has a backslash, a separator on some systems only";
            163 DriveLetter "drive_letter" "a name begins with a drive";
            164 Nul "nul" "a name has a NUL, where C programs end it";
            165 EmptyName "empty_name" "a name is empty";
            166 DotSegment "dot_segment" "a part of a name begins with a dot";
            167 DoubleSlash "double_slash" "a part of a name is empty";
            168 CaseTwin "case_twin" "two names differ in case alone and are one on some systems";
            169 NfcNfdTwin "nfc_nfd_twin"
                "two names differ in their spelling of accents alone and are one on some systems";
            170 BadUtf8 "bad_utf8" "a name is not UTF-8";
            171 WinReserved "win_reserved" "a name is a device on Windows";
            172 AdsStream "ads_stream" "a name has a colon, which hides a second stream on Windows";
            173 LongName "long_name" "a name is longer than the format allows";
            174 Symlink "symlink" "an entry is a symbolic link";
            175 DirWithData "dir_with_data" "an entry is a folder, and has data";
            176 DirEntry "dir_entry" "an entry is a folder";
            177 BadName "bad_name" "a name has a character that the format does not allow";
            // --- manifest.json and signatures.json ---
            190 DupJsonKey "dup_json_key"
                "a key stands twice, and programs differ in which they take";
            191 UnknownField "unknown_field"
                "a key is unknown, so it may mean something that is not done here";
            192 UnknownFormatVersion "unknown_format_version"
                "the format, or its version, is not one that is read here";
            193 DeepJson "deep_json" "values are nested deeper than the format allows";
            194 NotUtf8 "not_utf8" "the text is not UTF-8";
            195 Noncanonical "noncanonical"
                "the same content has other bytes than RFC 8785 gives it";
            196 MissingEntry "missing_entry" "an entry that must be there is not";
            197 ExtraEntry "extra_entry" "an entry is there that the manifest does not name";
            198 HashMismatch "hash_mismatch" "an entry's bytes are not those that were signed";
            199 LengthMismatch "length_mismatch"
                "an entry is longer or shorter than what was signed";
            200 TypeConfusion "type_confusion" "it was signed as another kind of document";
            201 MixedBundles "mixed_bundles"
                "manifest.json and signatures.json do not belong together: one was changed, or \
                 they come from two bundles";
            202 BadJson "bad_json" "it is not JSON of the form that the format has";
            203 JsonTooLarge "json_too_large" "it is longer than the format allows";
            204 Contradiction "contradiction"
                "the manifest contradicts itself, or a value is out of range";
            // --- Trust ---
            220 Unsigned "unsigned" "nobody has signed it";
            221 WrongKey "wrong_key" "no key that is trusted for this has signed it";
            222 RevokedKey "revoked_key" "a key that signed it was revoked";
            223 WeakKey "weak_key" "a key is of small order: one signature by it fits any message";
            224 SmallOrderR "small_order_r"
                "a signature's first half is of small order, which no signer makes";
            225 NoncanonicalA "noncanonical_a"
                "a key is in another spelling than the one that RFC 8032 gives it";
            226 SPlusL "s_plus_l"
                "a signature's second half is not reduced: it is a copy that somebody made without \
                 the key";
            227 BadLength "bad_length" "a key or signature has the wrong length";
            228 DupSignatureThreshold "dup_signature_threshold"
                "one key stands twice among the signatures, as if two had signed";
            229 SameKeyTwoIds "same_key_two_ids"
                "one key stands in the trust file under two names, as if it were two";
            230 KeyidLies "keyid_lies" "the trust file gives a key an id that is not its own";
            231 Rollback "rollback"
                "an older version than the newest that this device, or the trust file, knows";
            232 FastForward "fast_forward"
                "a version so far ahead that every later release would be refused";
            233 Expired "expired" "the trust file, or a key that signed, is not valid at this time";
            234 ClockBackwards "clock_backwards"
                "the clock shows an earlier time than it did before";
            235 RejectedStateCached "rejected_state_cached"
                "the state file holds what no accepted bundle left there";
            236 RootVersionSkip "root_version_skip"
                "a new trust file does not follow the one before it";
            237 TrustRotationUnsigned "trust_rotation_unsigned"
                "a new trust file is not signed by enough keys of the one before it";
            238 BelowThreshold "below_threshold"
                "some trusted keys have signed, and fewer than must";
            239 TooManySignatures "too_many_signatures"
                "there are more signatures than the format allows";
            240 BadSignatures "bad_signatures"
                "the list of signatures is not one that a signer makes";
            241 RevokedBundle "revoked_bundle" "this very bundle was revoked";
            242 BadTrustFile "bad_trust_file" "the trust file is not one that can be used";
            // --- Payload ---
            260 StOverlap "st_overlap" "two tensors of a file share bytes";
            261 StHole "st_hole" "bytes of a tensor file belong to no tensor";
            262 StTrailing "st_trailing" "bytes follow the last tensor of a file";
            263 StDupKey "st_dup_key" "a tensor file has a key twice, and libraries take the last";
            264 StShapeOverflow "st_shape_overflow"
                "a shape is beyond the address space, or does not fit its bytes";
            265 StHugeHeader "st_huge_header"
                "a tensor file's header is longer than the file or than is safe";
            266 NanWeight "nan_weight" "a value is not a number, and would spread to every result";
            267 InfWeight "inf_weight" "a value is infinite, and would spread to every result";
            268 ModuleWrongBase "module_wrong_base" "a module is for another base";
            269 ModuleWrongShape "module_wrong_shape"
                "tensors do not have the shapes that the base and the manifest give them";
            270 ModuleUnknownSite "module_unknown_site"
                "a module changes a layer that the base does not have";
            271 OnnxMalformed "onnx_malformed" "the graph cannot be read";
            272 OnnxExternalDataPath "onnx_external_data_path"
                "the graph names another file to read weights from";
            273 GoldenMismatch "golden_mismatch"
                "this device computes something else than the maker of the bundle did";
            274 StMalformed "st_malformed" "a tensor file is damaged, or not one at all";
            275 StUnusable "st_unusable" "a tensor is of a type or shape that is not read here";
            276 OnnxRefused "onnx_refused" "the graph is not one that a base needs";
            277 TensorsMisfit "tensors_misfit" "tensors are missing or left over";
            278 TooCostly "too_costly" "it would take more memory or work than is allowed here";
        }
    };
}
