//! The words that people use for the parts of a split, in the names of folders and in lists:
//! `train`, `Testing`, `val`, `Training Set`, `imagesTr`.

use super::dataset::Split;

/// One part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Train,
    /// Training images that choose the epoch and calibrate.
    Validation,
    Test,
}

/// What a name says of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is the name of a part.
    Part(Part),
    /// Two letters that are the name of a part beside others of the kind, and may be anything
    /// alone.
    Short(Part),
    /// One of its words is that of a part, and another is something else.
    Within(Part),
    /// Nothing.
    None,
}

const WORDS: [(Part, &[&str]); 3] = [
    (Part::Train, &["train", "training", "trains", "trn", "trainval"]),
    (
        Part::Validation,
        &["val", "valid", "validation", "validate", "vali", "dev", "devel", "development"],
    ),
    (Part::Test, &["test", "testing", "tests", "tst", "eval", "evaluation", "holdout", "heldout"]),
];
const SHORT: [(Part, &[&str]); 3] =
    [(Part::Train, &["tr"]), (Part::Validation, &["va"]), (Part::Test, &["te", "ts"])];
/// Words that say nothing beside those.
const FILLERS: [&str; 20] = [
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "picture",
    "pictures", "folder", "folders", "split", "splits", "part", "sample", "samples", "files",
    "dir",
];

impl Part {
    /// The part of an image of `split` that its data set puts into the validation part, or not.
    pub fn new(split: Split, validation: bool) -> Part {
        match (split, validation) {
            (Split::Test, _) => Part::Test,
            (Split::Train, true) => Part::Validation,
            (Split::Train, false) => Part::Train,
        }
    }

    /// The part that `text` of a list names.
    pub fn of(text: &str) -> Option<Part> {
        match Word::of(text) {
            Word::Part(part) | Word::Short(part) => Some(part),
            Word::Within(_) | Word::None => None,
        }
    }

    /// The side of the split that it is on.
    pub fn split(self) -> Split {
        if self == Part::Test { Split::Test } else { Split::Train }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "training",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

impl Word {
    /// What `name` says, in any letter case.
    pub fn of(name: &str) -> Word {
        let tokens = tokens(name);
        let telling: Vec<&str> =
            tokens.iter().map(String::as_str).filter(|token| !is_filler(token)).collect();
        let whole = telling.concat();
        let found = |words: &[(Part, &[&str])], word: &str| {
            words.iter().find(|(_, words)| words.contains(&word)).map(|(part, _)| *part)
        };
        if let Some(part) = found(&WORDS, bare(&whole)) {
            return Word::Part(part);
        }
        if let Some(part) = found(&SHORT, &whole) {
            return Word::Short(part);
        }
        telling.iter().find_map(|token| found(&WORDS, bare(token))).map_or(Word::None, Word::Within)
    }

    /// Whether nothing in `name` tells anything, as in `images` or `data2`.
    pub fn is_filler(name: &str) -> bool {
        tokens(name).iter().all(|token| is_filler(token))
    }
}

fn is_filler(token: &str) -> bool {
    FILLERS.contains(&token) || token.bytes().all(|b| b.is_ascii_digit())
}

/// `token` without a filler that is written together with it (`trainset`).
fn bare(token: &str) -> &str {
    let stems = FILLERS
        .iter()
        .filter_map(|filler| token.strip_suffix(filler))
        .filter(|stem| !stem.is_empty());
    stems.min_by_key(|stem| stem.len()).unwrap_or(token)
}

/// The words of a name in lower case: letters or digits, a capital after a small letter beginning a
/// new one.
pub(super) fn tokens(name: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = (before.is_lowercase() && c.is_uppercase())
            || (before.is_alphanumeric() && before.is_numeric() != c.is_numeric());
        if begins || !c.is_alphanumeric() {
            tokens.push(String::new());
        }
        if let (Some(token), true) = (tokens.last_mut(), c.is_alphanumeric()) {
            token.extend(c.to_lowercase());
        }
        before = c;
    }
    tokens.retain(|token| !token.is_empty());
    tokens
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
                Part::Train,
            ),
            (
                &["TrainingData", "images_train", "Train_Images", "train1", "trainingset", "trn"],
                Part::Train,
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
                Part::Test,
            ),
            (&["val", "Valid", "VALIDATION", "validation_set", "dev", "valset"], Part::Validation),
        ] {
            for name in names {
                assert_eq!(Word::of(name), Word::Part(part), "{name}");
            }
        }
        assert_eq!(Word::of("imagesTr"), Word::Short(Part::Train));
        assert_eq!(Word::of("imagesTs"), Word::Short(Part::Test));
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
            let word = Word::of(name);
            assert!(!matches!(word, Word::Part(_) | Word::Short(_)), "{name}: {word:?}");
        }
        assert_eq!(Word::of("testis"), Word::None);
        assert_eq!(Word::of("images"), Word::None);
        assert_eq!(Word::of("CRC-VAL-HE-7K"), Word::Within(Part::Validation));
        assert_eq!(Word::of("test positive"), Word::Within(Part::Test));
        assert!(
            Word::is_filler("images") && Word::is_filler("Data_2") && !Word::is_filler("benign")
        );
    }
}
