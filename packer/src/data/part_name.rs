//! The names that people give the parts of a split, in folders and in lists: `train`, `Testing`,
//! `val`, `Training Set`, `imagesTr`.

use super::part::SplitPart;
use super::tokens::tokens;

/// What a name says about a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartName {
    /// It names a part.
    Part(SplitPart),
    /// Two letters. They name a part beside other such names, and may mean anything alone.
    Short(SplitPart),
    /// One of its words names a part, and another says something else.
    Within(SplitPart),
    /// Nothing.
    None,
}

const WORDS: [(SplitPart, &[&str]); 3] = [
    (SplitPart::Train, &["train", "training", "trains", "trn", "trainval"]),
    (
        SplitPart::Validation,
        &["val", "valid", "validation", "validate", "vali", "dev", "devel", "development"],
    ),
    (
        SplitPart::Test,
        &["test", "testing", "tests", "tst", "eval", "evaluation", "holdout", "heldout"],
    ),
];
const SHORT: [(SplitPart, &[&str]); 3] = [
    (SplitPart::Train, &["tr"]),
    (SplitPart::Validation, &["va"]),
    (SplitPart::Test, &["te", "ts"]),
];
/// Words that add nothing to those.
const FILLERS: [&str; 20] = [
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "picture",
    "pictures", "folder", "folders", "split", "splits", "part", "sample", "samples", "files",
    "dir",
];

impl PartName {
    /// What `name` says, in any letter case.
    pub fn of(name: &str) -> PartName {
        let tokens = tokens(name);
        let telling: Vec<&str> =
            tokens.iter().map(String::as_str).filter(|token| !is_filler(token)).collect();
        let whole = telling.concat();
        let found = |words: &[(SplitPart, &[&str])], word: &str| {
            words.iter().find(|(_, words)| words.contains(&word)).map(|(part, _)| *part)
        };
        if let Some(part) = found(&WORDS, bare(&whole)) {
            return PartName::Part(part);
        }
        if let Some(part) = found(&SHORT, &whole) {
            return PartName::Short(part);
        }
        let within = telling.iter().find_map(|token| found(&WORDS, bare(token)));
        within.map_or(PartName::None, PartName::Within)
    }

    /// The part that the whole name stands for.
    pub fn part(self) -> Option<SplitPart> {
        match self {
            PartName::Part(part) | PartName::Short(part) => Some(part),
            PartName::Within(_) | PartName::None => None,
        }
    }

    /// Whether no word of `name` says anything, as in `images` or `data2`.
    pub fn is_filler(name: &str) -> bool {
        tokens(name).iter().all(|token| is_filler(token))
    }
}

fn is_filler(token: &str) -> bool {
    FILLERS.contains(&token) || token.bytes().all(|b| b.is_ascii_digit())
}

/// `token` without a filler at its end (`trainset`).
fn bare(token: &str) -> &str {
    let stems = FILLERS
        .iter()
        .filter_map(|filler| token.strip_suffix(filler))
        .filter(|stem| !stem.is_empty());
    stems.min_by_key(|stem| stem.len()).unwrap_or(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_of_parts_are_known_in_any_letter_case() {
        for (names, part) in [
            (
                &[
                    "train",
                    "Training",
                    "TRAIN",
                    "train_set",
                    "Training Set",
                    "train-images",
                    "trainset",
                ][..],
                SplitPart::Train,
            ),
            (
                &["TrainingData", "images_train", "Train_Images", "train1", "trainingset", "trn"],
                SplitPart::Train,
            ),
            (
                &[
                    "test",
                    "Testing",
                    "TEST",
                    "test_set",
                    "testing data",
                    "hold-out",
                    "Holdout",
                    "eval",
                ],
                SplitPart::Test,
            ),
            (
                &["val", "Valid", "VALIDATION", "validation_set", "dev", "valset"],
                SplitPart::Validation,
            ),
        ] {
            for name in names {
                assert_eq!(PartName::of(name), PartName::Part(part), "{name}");
            }
        }
        assert_eq!(PartName::of("imagesTr"), PartName::Short(SplitPart::Train));
        assert_eq!(PartName::of("imagesTs"), PartName::Short(SplitPart::Test));
    }

    #[test]
    fn names_of_classes_stay_names_of_classes() {
        for name in [
            "testis",
            "Testicle",
            "strain",
            "benign",
            "invalid",
            "developed",
            "contest",
            "train track",
        ] {
            let word = PartName::of(name);
            assert!(!matches!(word, PartName::Part(_) | PartName::Short(_)), "{name}: {word:?}");
        }
        assert_eq!(PartName::of("testis"), PartName::None);
        assert_eq!(PartName::of("images"), PartName::None);
        assert_eq!(PartName::of("CRC-VAL-HE-7K"), PartName::Within(SplitPart::Validation));
        assert_eq!(PartName::of("test positive"), PartName::Within(SplitPart::Test));
        assert!(
            PartName::is_filler("images")
                && PartName::is_filler("Data_2")
                && !PartName::is_filler("benign")
        );
    }
}
