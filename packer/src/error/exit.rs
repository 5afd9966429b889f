//! How the program ends for an error.

use medforge_runtime::Class;

use super::Error;

impl Error {
    /// The process exit code: 130 interrupted, 3 bundle, contribution or forge refused, 1 anything
    /// else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Interrupted { .. } => 130,
            Error::Runtime(error) if error.is_refusal() => 3,
            // A file that is no trust file at all, a wrong argument: nothing was checked.
            Error::TrustFile { source, .. } if source.class() == Some(Class::BadTrustFile) => 1,
            Error::TrustFile { .. } => 3,
            Error::Contribution { .. }
            | Error::NotAContributor { .. }
            | Error::Misdescribed { .. } => 3,
            Error::Refused(_)
            | Error::UnknownContributor { .. }
            | Error::OthersKey { .. }
            | Error::Replayed { .. } => 3,
            Error::TaskTaken { .. } | Error::OtherImageSize { .. } => 3,
            Error::ForgeRecord { .. } | Error::ForgeObject { .. } | Error::ForgeHistory { .. } => 3,
            Error::ForgeTooLong { .. } => 3,
            Error::NotRebuilt { .. } => 3,
            Error::NotMerged { source, .. } => source.exit_code(),
            _ => 1,
        }
    }
}
