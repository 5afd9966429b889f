//! Counts against what is really made, and the sentences of what is refused.

use super::*;
use crate::bundle::{Trust, VerifiedBundle, verify};
use crate::classify::{Classifier, Precision};

const BUNDLE: &[u8] = include_bytes!("../../../../tests/frozen/bundle.medforge");
const KEY: &str = include_str!("../../../../tests/frozen/k.pub");

fn bundle() -> VerifiedBundle {
    verify(BUNDLE.to_vec(), &Trust::from_pem(KEY).unwrap()).unwrap()
}

fn counted(classifier: &Classifier) -> Counted {
    let active = classifier.active();
    let (bundle, base) = (bundle(), &active.base);
    let views = |name: &str| bundle.views(name);
    let (length, options) = (bundle.bytes().len(), Options::default());
    Counted::new(bundle.manifest(), length, views, base.shape(), &options).unwrap()
}

/// Never less than what is there, and where registers are widest nearly the same.
#[test]
fn no_more_memory_is_taken_than_was_counted() {
    let classifier = Classifier::load(bundle()).unwrap();
    let (found, counted) = (classifier.memory(), counted(&classifier));
    assert!(found.scratch > 0);
    let pass = classifier.active().base.shape().base(Precision::F32).bytes;
    let base = found.base as u128;
    assert!(base <= pass && pass < base * 2, "{base} {pass}");
    assert!((found.modules as u128) <= counted.modules, "{found:?} {counted:?}");
    assert!((found.base + found.scratch) as u128 <= counted.base, "{found:?} {counted:?}");
}

#[test]
fn limits_of_the_caller_are_kept_to_the_last_byte_and_operation() {
    let counted = counted(&Classifier::load(bundle()).unwrap());
    let bytes = u64::try_from(counted.base + counted.modules).unwrap();
    // A module that is alone is the one network that golden vectors need.
    assert!(counted.golden <= counted.image, "{counted:?}");
    let operations =
        u64::try_from(counted.image.max(counted.golden.div_ceil(GOLDEN_IMAGES.into()))).unwrap();
    let load =
        |most| Classifier::load_with(&bundle(), Options { most, ..Options::default() }).map(drop);
    load(Cost { bytes, operations }).unwrap();
    for (most, words) in [
        (Cost { bytes: bytes - 1, operations }, "bytes of memory, and"),
        (Cost { bytes, operations: operations - 1 }, "multiply-adds"),
        (Cost { bytes: 0, operations: 0 }, "are allowed; take a smaller base"),
    ] {
        let error = load(most).unwrap_err();
        assert_eq!(error.class(), Some(Class::TooCostly), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
