//! What the command line makes of errors: where the library says what to do, the option that does
//! it.

use medforge_compute::Error as Compute;
use medforge_runtime::words::sentence;

use crate::Error;

/// What is shown of an error: a line for each fault, none longer than a screen, without characters
/// that nobody sees.
pub fn shown(error: &Error) -> String {
    match error {
        Error::Faults { .. } => worded(error),
        _ => sentence(&worded(error)),
    }
}

/// The error as a person at a command line reads it, with commands and options by name.
pub fn worded(error: &Error) -> String {
    match error {
        Error::Compute(error) => computing(error),
        Error::NotMerged { push, source } => format!(
            "{}; push {push} stays waiting: choose another method, or pass over it with `packer \
             forge skip`",
            worded(source)
        ),
        Error::Refused(source) => worded(source),
        Error::Option { name, what } => format!("{} {}", option(name), advised(what)),
        error => output(error)
            .or_else(|| training(error))
            .or_else(|| condensing(error))
            .or_else(|| forge(error))
            .unwrap_or_else(|| advised(&error.to_string())),
    }
}

/// Settings of the library that have an option of another name.
const OPTIONS: [(&str, &str); 11] = [
    ("the attribute", "--by"),
    ("the choice of columns", "--columns"),
    ("the class text", "--class-text"),
    ("the crop", "--crop-pct"),
    ("the descriptor of the pass phrase", "--passphrase-fd"),
    ("the feature", "--feature"),
    ("the heads", "--heads"),
    ("the type of the weights", "--dtype"),
    ("delta", "--delta"),
    ("epsilon", "--epsilon"),
    ("the seed", "--seed"),
];

fn option(name: &str) -> &str {
    OPTIONS.iter().find(|(setting, _)| *setting == name).map_or(name, |(_, option)| option)
}

/// How sentences of the library end, and how they end here.
const ENDINGS: [(&str, &str); 27] = [
    ("; begin again", "; pass --force to begin again"),
    (", or begin again", ", or pass --force to begin again"),
    (
        "is no Ed25519 secret key in PKCS#8 PEM",
        "is no Ed25519 secret key in PKCS#8 PEM; `packer keygen` makes one (NAME.key)",
    ),
    (
        "is no encrypted secret key in PKCS#8 PEM",
        "is no encrypted secret key in PKCS#8 PEM; `packer keygen --encrypt` makes one",
    ),
    ("never replaced; choose another name", "never replaced; choose another --out"),
    ("evaluate or pack it as one", "`packer eval --task` and `packer bundle` take it"),
    (
        "from the code that makes the model",
        "from the code that makes the model, or pass it to `packer base convert --heads N`",
    ),
    ("train it without DoRA", "train it without --dora"),
    ("train it with a head of texts for that", "train it with --head text for that"),
    ("train it with targets", "train it with --targets"),
    ("train them with one way to fit", "train them with one --fit"),
    ("a bundle needs a module", "a bundle needs a module; name one with --module"),
    ("name some to measure eight bits with", "name them with --int8 TASK=DIR"),
    ("name a module", "pass --module"),
    ("a base in 16 bits", "a base in 16 bits (packer base convert --dtype float16)"),
    ("leave the module away", "leave --module away"),
    ("start from noise", "leave --init at noise"),
    ("take the classes as targets", "pass --targets class"),
    ("take a ridge of 0", "pass --ridge 0"),
    (
        "have a part taken from all training images",
        "pass --validation to have a part taken from all training images (0 for none)",
    ),
    ("=NAME", "=NAME (--columns)"),
    ("merge to a smaller rank", "merge to a --rank"),
    ("merge in the space of deltas", "use --space delta"),
    ("leave the precision at f32", "leave --precision at f32"),
    ("evaluate it again", "evaluate it again (packer eval --record)"),
    (
        "pack it with images to measure that with, or run it in 32",
        "pack it with `packer bundle --int8 TASK=DIR`, or run it in 32",
    ),
    ("pack the bundle again", "pack the bundle again with `packer bundle`"),
];

/// The text with the option beside its last advice.
pub fn advised(text: &str) -> String {
    let ending = ENDINGS.iter().find_map(|(ending, here)| Some((text.strip_suffix(ending)?, here)));
    ending.map_or_else(|| text.to_owned(), |(start, here)| format!("{start}{here}"))
}

fn computing(error: &Compute) -> String {
    match error {
        Compute::NoAdapter { wanted, found } => format!(
            "--device {wanted}: {found}; install the GPU's driver (Vulkan, Metal or DX12), or use \
             --device cpu"
        ),
        Compute::AdapterUnusable { adapter, what } => format!(
            "the GPU {adapter} cannot be used: {}; choose another (see `packer devices`), or use \
             --device cpu",
            advised(what)
        ),
        Compute::GpuLost { what } => {
            format!("the GPU was lost ({what}); begin again, or use --device cpu")
        }
        Compute::GpuInvalid { what } => format!(
            "the GPU refused an operation ({what}); please report this with the GPU's name, and \
             use --device cpu meanwhile"
        ),
        error => error.to_string(),
    }
}

/// Where results go, and faults beyond those that one message names.
fn output(error: &Error) -> Option<String> {
    Some(match error {
        Error::OutputExists { path, option } => format!(
            "{} exists already; choose another {option}, or pass --force to replace it",
            path.display()
        ),
        Error::NotReplaced { path, marker } => format!(
            "{} holds no {marker}, so it is not something that --force replaces; choose another \
             --out",
            path.display()
        ),
        Error::Faults { faults } if faults.len() > Error::NAMED => {
            format!("{error}; `packer check` lists all")
        }
        _ => return None,
    })
}

fn training(error: &Error) -> Option<String> {
    Some(match error {
        Error::Targets { what } => format!("--targets: {what}; for example --targets q,v"),
        Error::Memory { bound, least } => format!(
            "--memory {bound} bytes is too little for this training; the least that would do is \
             {}MiB",
            least.div_ceil(1 << 20)
        ),
        Error::Diverged { step, learning_rate } => format!(
            "the loss is not finite at step {step}: the training diverged; lower --lr (now \
             {learning_rate})"
        ),
        Error::CheckpointExists { path } => format!(
            "{} is left from a run that was stopped; pass --resume to go on with it, or --force \
             to begin again",
            path.display()
        ),
        Error::OtherPreprocessing { path } => format!(
            "{}: the module was trained on images prepared in another way than this base's \
             preprocessor_config.json says; restore that file, or train without --fit",
            path.display()
        ),
        Error::GpuBatch { held, batch, fits } => format!(
            "the GPU's memory was full at {held} bytes with --batch {batch}; about {fits} images \
             fit: pass --batch {fits}, a smaller --size, or --device cpu"
        ),
        _ => return None,
    })
}

fn condensing(error: &Error) -> Option<String> {
    Some(match error {
        Error::TooFewGroups { class, groups, least } => format!(
            "class {class} has {groups} groups (patients) in the training part, fewer than \
             {least}: noise that hides one of so few would hide everything; leave --epsilon away, \
             or lower --min-groups knowing that"
        ),
        Error::RealStart { task } => format!(
            "the condensed set of {task} started from patients' images (`start` is `real`), which \
             can still be seen in it; condense from noise, or pass --allow-real-start if you may \
             give these images away"
        ),
        _ => return None,
    })
}

fn forge(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoForge { place } => {
            format!("{place} is no forge (it has no forge.zip); `packer forge init` makes one")
        }
        Error::Replayed { path, name, counter, newest } => format!(
            "{}: it is number {counter} of {name} and number {newest} was pushed already; sign a \
             newer one with --counter {}, or, if it was taken out or passed over, let the forge's \
             keeper bring it back with `packer forge restore`",
            path.display(),
            newest + 1
        ),
        Error::ForgeKey { key } => {
            format!("--key is not this forge's key; its public key is {key}")
        }
        Error::NotNext { .. } => format!("{error}, and `packer forge log` shows what waits"),
        Error::NoMembers => format!("{error}; leave --again out"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::export::weights_fit;

    /// The sources below a folder but for the command line's, strings on one line.
    fn sources(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("src/cli") {
                sources(&path, text);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let lines = fs::read_to_string(&path).unwrap();
                lines.split("\\\n").for_each(|part| *text += part.trim_start_matches(' '));
            }
        }
    }

    #[test]
    fn the_library_says_what_has_an_option_here() {
        let mut text = String::new();
        for dir in ["src", "compute/src", "../runtime/src"] {
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut text);
        }
        for ending in ENDINGS.map(|(ending, _)| ending) {
            assert!(text.contains(ending), "nothing in the libraries ends with {ending:?}");
        }
        for name in OPTIONS.map(|(setting, _)| setting) {
            assert!(text.contains(&format!("\"{name}\"")), "no setting is called {name:?}");
        }
    }

    #[test]
    fn an_option_stands_beside_the_advice() {
        let checkpoint = |what: &str| worded(&Error::Checkpoint { what: what.into() });
        assert_eq!(
            checkpoint("k: was made with other settings; repeat them, or begin again"),
            "checkpoint k: was made with other settings; repeat them, or pass --force to begin \
             again"
        );
        assert_eq!(checkpoint("k: is not a checkpoint"), "checkpoint k: is not a checkpoint");
        let large = weights_fit(1 << 33).unwrap_err();
        assert!(worded(&large).ends_with("16 bits (packer base convert --dtype float16)"));
        let seed = Error::Option { name: "the seed", what: "is 3".into() };
        assert_eq!(worded(&seed), "--seed is 3");
        let epochs = Error::Option { name: "--epochs", what: "is 0".into() };
        assert_eq!(worded(&epochs), "--epochs is 0");
    }

    #[test]
    fn advice_is_found_inside_of_other_errors() {
        let lost = Error::from(Compute::GpuLost { what: "reset".into() });
        let push = Error::NotMerged { push: 2, source: Box::new(lost) };
        let text = shown(&push);
        assert!(text.contains("--device cpu; push 2") && text.contains("forge skip"), "{text}");
    }
}
