//! The classes of what is refused. Each has one name everywhere: here, in the C API's codes, under
//! `tests/corpus/` and in `docs/threats.md`.
//!
//! A class says why; it never decides whether. Whatever is not in the one canonical form is refused
//! first and named afterwards.

#[macro_use]
mod table;

macro_rules! classes {
    ($($number:literal $variant:ident $name:literal $meaning:literal;)*) => {
        /// Why something is refused. Numbers are those of the C API, and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Class {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Class {
            /// Every class, by number, with its name and what it means.
            pub const ALL: &[(Class, &str, &str)] = &[$((Class::$variant, $name, $meaning),)*];

            /// The name, in lower case with underscores.
            pub fn name(self) -> &'static str {
                match self {
                    $(Class::$variant => $name,)*
                }
            }

            /// What it means, as the middle of a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Class::$variant => $meaning,)*
                }
            }
        }
    };
}

refusal_classes! { classes! {} }

impl std::fmt::Display for Class {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_class_under_its_own_name() {
        let snake = |name: &str| {
            let mut out = String::new();
            for c in name.chars() {
                if c.is_ascii_uppercase() && !out.is_empty() {
                    out.push('_');
                }
                out.push(c.to_ascii_lowercase());
            }
            out
        };
        for (class, name, _) in Class::ALL {
            assert_eq!(snake(&format!("{class:?}")), *name);
        }
        assert!(Class::ALL.is_sorted_by(|(a, ..), (b, ..)| (*a as u16) < *b as u16));
        assert!(Class::ALL.len() >= 90);
    }
}
