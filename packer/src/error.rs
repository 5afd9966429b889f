//! Everything that packer refuses or fails at: one variant per cause, each naming the file, tensor,
//! row or option.

use std::path::PathBuf;

use medforge_runtime::words::{sentence, shown};

mod exit;

/// Why packer stopped. The text is one sentence for the person at the keyboard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no (missing file, disk full, permission).
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The output is there already.
    #[error("{} exists already; choose another place, or replace it", path.display())]
    OutputExists { path: PathBuf, option: &'static str },
    /// What stands where something goes is never replaced: a device, a link, an input, a secret
    /// key.
    #[error("{} {what}", path.display())]
    Output { path: PathBuf, what: String },
    /// A folder that must be new has files in it.
    #[error("{} is not empty; choose a new or an empty folder", path.display())]
    NotEmpty { path: PathBuf },
    /// Ctrl-C or a termination signal.
    #[error("interrupted{hint}")]
    Interrupted { hint: String },
    /// The runtime refused a tensor file, an image or a bundle.
    #[error(transparent)]
    Runtime(#[from] medforge_runtime::Error),
    /// A device failed, or the operating system gave no random numbers.
    #[error(transparent)]
    Compute(#[from] medforge_compute::Error),
    // --- base, lora, train ---
    /// A configuration file that cannot be used.
    #[error("{}: {what}", path.display())]
    Config { path: PathBuf, what: String },
    /// An input size that the base's patches do not fill.
    #[error(
        "an image size of {size} does not fit patches of {patch}; use a multiple, such as \
         {suggestion}"
    )]
    ImageSize { size: usize, patch: usize, suggestion: usize },
    /// An input size whose attention would not fit into memory.
    #[error(
        "an image size of {size} makes {tokens} tokens, more than this base can be run with here; \
         choose a smaller one"
    )]
    TooManyTokens { size: usize, tokens: usize },
    /// A checkpoint without one of the base's parameters.
    #[error("{}: tensor {tensor} is missing", path.display())]
    TensorMissing { path: PathBuf, tensor: String },
    /// A parameter of another shape than the configuration asks for.
    #[error("{}: tensor {tensor} has shape {found:?} where the configuration asks for {expected:?}",
        path.display())]
    TensorShape { path: PathBuf, tensor: String, found: Vec<usize>, expected: Vec<usize> },
    /// Tensors that belong to nothing in the base.
    #[error("{}: these tensors match no site of the base: {tensors}", path.display())]
    TensorUnknown { path: PathBuf, tensors: String },
    /// A module that was trained on another base.
    #[error("{}: the module was trained on the base {module}, and this base is {base}; pass the \
             base it was made with", path.display())]
    OtherBase { path: PathBuf, module: String, base: String },
    /// Targets that name no linear layer.
    #[error("targets: {what}; for example q,v")]
    Targets { what: String },
    /// A bound on memory that no way to train meets.
    #[error("{bound} bytes of memory are too little for this training; the least that would do is \
             {}MiB", least.div_ceil(1 << 20))]
    Memory { bound: u64, least: u64 },
    /// The loss stopped being a number.
    #[error(
        "the loss is not finite at step {step}: the training diverged; lower the learning rate \
         (now {learning_rate})"
    )]
    Diverged { step: usize, learning_rate: f64 },
    /// A checkpoint that cannot be gone on from.
    #[error("checkpoint {what}")]
    Checkpoint { what: String },
    /// A checkpoint of an earlier run is in the way.
    #[error("{} is left from a run that was stopped; go on with it, or begin again",
        path.display())]
    CheckpointExists { path: PathBuf },
    /// A setting that cannot be used; named by its option where the command line found it.
    #[error("{name} {what}")]
    Option { name: &'static str, what: String },
    /// Images of other classes than the module knows.
    #[error("{}: the images' classes are {data}, and the module knows {module}", path.display())]
    OtherClasses { path: PathBuf, data: String, module: String },
    /// A base whose images are prepared in another way than those that the module was trained on.
    #[error("{}: the module was trained on images prepared in another way than this base's \
             preprocessor_config.json says; restore that file, or train with the base's own way to \
             fit", path.display())]
    OtherPreprocessing { path: PathBuf },
    /// A folder that packer did not make is not replaced.
    #[error("{} holds no {marker}, so it is not replaced; choose another folder", path.display())]
    NotReplaced { path: PathBuf, marker: &'static str },
    // --- data ---
    /// Several rows or files that cannot be used.
    #[error("{} faults:{}", faults.len(), listed(faults))]
    Faults { faults: Vec<Error> },
    /// A data set in which `packer check` found faults, which it has told.
    #[error("{}: {count} {}", path.display(), if *count == 1 { "fault" } else { "faults" })]
    Checked { path: PathBuf, count: usize },
    /// A row of splits.csv or labels.csv that cannot be read; rows count from 1, the header being
    /// row 1.
    #[error("{}, row {row}: {what}", file.display())]
    SplitsRow { file: PathBuf, row: u64, what: String },
    /// A folder that is neither a splits.csv nor a class-per-folder tree.
    #[error("{}: {what}", path.display())]
    DataFolder { path: PathBuf, what: String },
    /// An image that is listed but is not there, or is no plain file.
    #[error("{place}: {} is not there; correct the path or leave the row out",
        shown(&path.to_string_lossy()))]
    ImageMissing { place: String, path: PathBuf },
    /// A path that is absolute, holds `..` or is a link out of the folder.
    #[error("{place}: {} leaves the data folder; images must lie inside it",
        shown(&path.to_string_lossy()))]
    PathLeavesFolder { place: String, path: PathBuf },
    /// The same file twice.
    #[error("{second}: {} was named already by {first}; keep one of the two",
        shown(&path.to_string_lossy()))]
    DuplicatePath { path: PathBuf, first: String, second: String },
    /// Two files of one DICOM object.
    #[error("{second}: {} has the SOP Instance UID {uid} of {first}, so it is the same image; keep \
             one of the two", path.display())]
    DuplicateInstance { uid: String, path: PathBuf, first: String, second: String },
    /// A class without a single image.
    #[error("{}: class {class} has no image; add images (png, jpg, tif or DICOM) or remove the \
             class", path.display())]
    EmptyClass { path: PathBuf, class: String },
    /// A class that is tested on but was never trained on.
    #[error(
        "{place}: class {class} is in the test split but training never sees it; give it training \
         images or remove it"
    )]
    UnknownTestClass { place: String, class: String },
    /// A patient, case or slide on both sides.
    #[error("group {group} is in {first} and in {second}; a group must stay in one split")]
    GroupStraddles { group: String, first: String, second: String },
    /// No image to train on, or none to test on.
    #[error("{}: the {split} split is empty; at least one image of each class must train and one \
             must test", path.display())]
    EmptySplit { path: PathBuf, split: &'static str },
    /// A validation part that cannot be taken from the training groups.
    #[error("no validation part can be held out: {what}")]
    HoldOut { what: String },
    /// More than fits the stated limits.
    #[error("{}: {what}", path.display())]
    TooLarge { path: PathBuf, what: String },
    /// A phantom that cannot be drawn as asked.
    #[error("phantom: {what}")]
    Phantom { what: String },
    // --- condense ---
    /// A class with too few patients for a private release.
    #[error(
        "class {class} has {groups} groups (patients) in the training part, fewer than {least}: \
         noise that hides one of so few would hide everything; promise no budget, or lower the \
         least number of groups knowing that"
    )]
    TooFewGroups { class: String, groups: usize, least: usize },
    /// Images that cannot be condensed.
    #[error("cannot condense: {what}")]
    Condense { what: String },
    /// A condensed set that cannot be used.
    #[error("{}: {what}", path.display())]
    Condensed { path: PathBuf, what: String },
    // --- merge ---
    /// Modules, options or weights that cannot be merged.
    #[error("cannot merge: {what}")]
    Merge { what: String },
    // --- eval ---
    /// Predictions or features that cannot be evaluated.
    #[error("cannot evaluate: {what}")]
    Evaluation { what: String },
    // --- export, keys, bundle commands ---
    /// A tensor of the base that is not there or is of another shape than the configuration says.
    #[error("the base cannot be exported: tensor {tensor} {what}")]
    BaseTensor { tensor: String, what: String },
    /// Modules that cannot be in one bundle.
    #[error("{what}")]
    Bundle { what: String },
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system ({what}), so nothing was made")]
    Random { what: String },
    /// A key file that is not what it should be.
    #[error("{}: {what}", path.display())]
    Key { path: PathBuf, what: String },
    /// A trust file, or keys given in its place, that cannot be used.
    #[error("{}: {source}", path.display())]
    TrustFile { path: PathBuf, source: medforge_runtime::Error },
    /// A signing request, or a signature made for one, that is not what it must be.
    #[error("{}: {what}", path.display())]
    Signing { path: PathBuf, what: String },
    // --- contribute ---
    /// A contribution whose archive is not whole, not as it was signed, or not of this format.
    #[error("{}: {source}", path.display())]
    Contribution { path: PathBuf, source: medforge_runtime::Error },
    /// A contribution that no contributor of the forge has signed.
    #[error("{}: it is signed by no contributor's key here: {what}", path.display())]
    NotAContributor { path: PathBuf, what: String },
    /// A condensed set that is not to be given away.
    #[error(
        "the condensed set of {task} started from patients' images (`start` is `real`), which can \
         still be seen in it; condense from noise, or allow a real start if you may give these \
         images away"
    )]
    RealStart { task: String },
    /// Two parts of a contribution that do not belong together.
    #[error("{}: the module and the condensed set differ in {field}: {module} and {condensed}",
        path.display())]
    Mismatch { path: PathBuf, field: &'static str, module: String, condensed: String },
    /// A manifest that says something else than the parts.
    #[error("{}: {field} in manifest.json is not what the module or the condensed set says",
        path.display())]
    Misdescribed { path: PathBuf, field: &'static str },
    /// A module of a head alone.
    #[error("{}: the module adapts no site, so there is nothing to merge; train it with targets",
        path.display())]
    NoSites { path: PathBuf },
    /// A card that is not text for people.
    #[error("{} {what}", path.display())]
    Card { path: PathBuf, what: String },
    /// A contribution that every merge would stop at.
    #[error("{}: {what}, so it cannot be merged", path.display())]
    Unmergeable { path: PathBuf, what: String },
    /// Gram matrices that are not the module's.
    #[error("{} {what}", path.display())]
    Grams { path: PathBuf, what: String },
    // --- forge ---
    /// The store of a forge said no, or its address is none.
    #[error("{place}: {what}")]
    ForgeStore { place: String, what: String },
    /// There is no forge.
    #[error("{place} is no forge (it has no forge.zip); make one first")]
    NoForge { place: String },
    /// There is one already.
    #[error("{place} is a forge already; nothing was changed")]
    ForgeExists { place: String },
    /// A folder with other things in it.
    #[error("{place} holds {name}, so no forge is made there; choose an empty folder")]
    ForgeFolder { place: String, name: String },
    /// A list of contributors that cannot be used.
    #[error("{}: {what}", path.display())]
    Contributors { path: PathBuf, what: String },
    /// A contribution that cannot be taken, whatever is wrong with it.
    #[error("{0}")]
    Refused(Box<Error>),
    /// A contribution by somebody whom the forge does not know.
    #[error("{}: {contributor:?} is no contributor of this forge", path.display())]
    UnknownContributor { path: PathBuf, contributor: String },
    /// A contribution signed with another contributor's key.
    #[error("{}: it names {contributor:?} and is not signed by that contributor's key",
        path.display())]
    OthersKey { path: PathBuf, contributor: String },
    /// An older contribution, or the same again.
    #[error("{}: it is number {counter} of {name} and number {newest} was pushed already; sign a \
             newer one with number {}, or, if it was taken out or passed over, let the forge's \
             keeper restore it", path.display(), newest + 1)]
    Replayed { path: PathBuf, name: String, counter: u64, newest: u64 },
    /// A task that another contributor holds.
    #[error("{}: the task {task} is {holder:?}'s here; name yours otherwise", path.display())]
    TaskTaken { path: PathBuf, task: String, holder: String },
    /// A module for images of another size than the forge's.
    #[error("{}: it was trained at {size} pixels and the forge's members at {others}",
        path.display())]
    OtherImageSize { path: PathBuf, size: u32, others: u32 },
    /// A key that does not sign for the forge.
    #[error("the key is not this forge's; its public key is {key}")]
    ForgeKey { key: String },
    /// A record of a forge that was changed, or is no record.
    #[error("{name}: {source}")]
    ForgeRecord { name: String, source: medforge_runtime::Error },
    /// An object of a forge that is not there or was changed.
    #[error("objects/{sha256} {what}")]
    ForgeObject { sha256: String, what: String },
    /// Something in a forge that is longer than what was put there.
    #[error("{name} was changed: it has {length} bytes where at most {limit} are expected")]
    ForgeTooLong { name: String, length: u64, limit: u64 },
    /// Records of a forge that contradict each other.
    #[error("the forge's history is broken: {what}")]
    ForgeHistory { what: String },
    /// A contribution that waits and could not be merged.
    #[error("{source}; push {push} stays waiting: choose another method, or pass over it")]
    NotMerged { push: u64, source: Box<Error> },
    /// A push that is not the next to be merged.
    #[error("push {number} is not the next to be merged; all up to {merged} were")]
    NotNext { number: u64, merged: u64 },
    /// An item that is not there.
    #[error("there is no v{number}; the newest item is v{newest}")]
    NoItem { number: u64, newest: u64 },
    /// An item whose contribution cannot leave.
    #[error("v{number} cannot be reverted: {what}")]
    NotAMember { number: u64, what: String },
    /// A contribution that cannot come back.
    #[error("the contribution of v{number} cannot be restored: {what}")]
    NotRestored { number: u64, what: String },
    /// A merge anew of nothing.
    #[error("no item has members, so there is nothing to merge again")]
    NoMembers,
    /// An item that came out otherwise when it was made again.
    #[error("v{number} made again has other bytes: it is not what its members and settings give")]
    NotRebuilt { number: u64 },
    /// An item made by a method that this packer does not know.
    #[error("the method {settings} is not known here; use the packer that made the item")]
    UnknownMethod { settings: String },
    // --- gpu ---
    /// The adapter's memory was full while training; about so many images would have fit.
    #[error(
        "the GPU's memory was full at {held} bytes with batches of {batch} images; about {fits} \
         images fit: take smaller batches or images, or the processor"
    )]
    GpuBatch { held: u64, batch: usize, fits: usize },
    // --- demo ---
    /// The runtime and packer's evaluation differ.
    #[error(
        "{image}, task {task}: the runtime's probabilities differ from packer's by \
         {difference:.1e}, more than {limit:.0e}; \
         please report this with your processor's name"
    )]
    Disagreement { image: String, task: String, difference: f64, limit: f64 },
    /// Verification let a changed bundle pass.
    #[error("a bundle with byte {byte} changed was not refused; please report this")]
    ChangedBundleAccepted { byte: usize },
}

/// The first faults, each on a line of its own.
fn listed(faults: &[Error]) -> String {
    let mut text: String = faults
        .iter()
        .take(Error::NAMED)
        .map(|fault| format!("\n  {}", sentence(&fault.to_string())))
        .collect();
    if faults.len() > Error::NAMED {
        text += &format!("\n  and {} more", faults.len() - Error::NAMED);
    }
    text
}

impl Error {
    /// Faults that one message names.
    pub const NAMED: usize = 20;

    /// Nothing, the one fault, or all of them as one error.
    ///
    /// # Errors
    /// [`Error::Faults`] for more than one.
    pub fn all(mut faults: Vec<Error>) -> Result<(), Error> {
        match faults.len() {
            0 => Ok(()),
            1 => Err(faults.remove(0)),
            _ => Err(Error::Faults { faults }),
        }
    }

    /// An input or output error on `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { path: path.into(), source }
    }
}
