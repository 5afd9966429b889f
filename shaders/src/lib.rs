//! The WGSL compute kernels, one file each. Every file's header says what it computes, how it is
//! bound, why its tile has the shape it has and how far it may be off. Nothing is run here: the
//! `gpu` device of `medforge-compute` compiles and dispatches them.
//!
//! A file is a template (Jinja syntax): element types, tile sizes and unrolled loops are filled in
//! by [`Kernel::specialise`]. Conventions:
//!
//! - settings in small letters, parameters in `var<immediate> params`;
//! - bindings of group 0 counted from 0, what is read before what is written;
//! - 64 invocations a group where a header says nothing else;
//! - in a kernel that goes over a list, invocation i = id.x + id.y * groups.x * 64, so that a list
//!   may be longer than one dimension of groups.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior};

#[cfg(test)]
mod tests;

/// A kernel's name and its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub name: &'static str,
    pub source: &'static str,
}

/// What a template is filled in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    Number(u32),
    Flag(bool),
    /// The type of a buffer's elements; all sums are f32.
    Element(Element),
}

/// The type in which a buffer holds its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    F32,
    F16,
}

/// Names and values of what a kernel is filled in with.
pub type KernelSettings<'a> = &'a [(&'static str, Setting)];

impl Kernel {
    /// The WGSL source with every setting filled in. Panics if the template asks for a setting that
    /// is not given: a bug in the caller.
    pub fn specialise(&self, settings: KernelSettings) -> String {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        environment.set_syntax(syntax.build().expect("these are Jinja's own options"));
        for (name, source) in PARTS {
            environment.add_template(name, source).unwrap_or_else(|e| panic!("part {name}: {e:#}"));
        }
        let context = settings.iter().map(|(name, setting)| (*name, setting.value()));
        let context = Value::from(context.collect::<BTreeMap<_, _>>());
        let body = environment
            .render_named_str(self.name, self.source, context)
            .unwrap_or_else(|e| panic!("kernel {}: {e:#}", self.name));
        if settings.iter().any(|(_, s)| *s == Setting::Element(Element::F16)) {
            format!("enable f16;\n{body}")
        } else {
            body
        }
    }
}

impl Setting {
    fn value(self) -> Value {
        match self {
            Setting::Number(n) => Value::from(n),
            Setting::Flag(flag) => Value::from(flag),
            Setting::Element(element) => Value::from(element.to_string()),
        }
    }
}

impl Element {
    /// Bytes per value.
    pub fn size(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F16 => 2,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
        })
    }
}

impl From<u32> for Setting {
    fn from(number: u32) -> Self {
        Setting::Number(number)
    }
}

impl From<bool> for Setting {
    fn from(flag: bool) -> Self {
        Setting::Flag(flag)
    }
}

impl From<Element> for Setting {
    fn from(element: Element) -> Self {
        Setting::Element(element)
    }
}

/// What several kernels include.
const PARTS: [(&str, &str); 6] = [
    ("activations", include_str!("parts/activations.wgsl")),
    ("gradient", include_str!("parts/gradient.wgsl")),
    ("inside", include_str!("parts/inside.wgsl")),
    ("list", include_str!("parts/list.wgsl")),
    ("row", include_str!("parts/row.wgsl")),
    ("total", include_str!("parts/total.wgsl")),
];

macro_rules! kernels {
    ($($constant:ident $name:literal),* $(,)?) => {
        $(
            #[doc = concat!("See `kernels/", $name, ".wgsl`.")]
            pub const $constant: Kernel =
                Kernel { name: $name, source: include_str!(concat!("kernels/", $name, ".wgsl")) };
        )*
        /// Every kernel.
        pub const ALL: &[Kernel] = &[$($constant),*];
    };
}

kernels! {
    ACTIVATION "activation",
    ADAMW "adamw",
    ADD_SCALED "add_scaled",
    ATTENTION "attention",
    ATTENTION_BACKWARD_KV "attention_backward_kv",
    ATTENTION_BACKWARD_Q "attention_backward_q",
    COLOUR "colour",
    COLUMN_SUM "column_sum",
    CONVERT "convert",
    CROSS_ENTROPY "cross_entropy",
    CROSS_ENTROPY_BACKWARD "cross_entropy_backward",
    CUTOUT "cutout",
    FILL "fill",
    FINITE "finite",
    GATED "gated",
    IMAGE_MEAN "image_mean",
    L2_NORMALISE "l2_normalise",
    LAYER_NORM "layer_norm",
    LAYER_NORM_BACKWARD "layer_norm_backward",
    LOSS_SCALE "loss_scale",
    MATMUL "matmul",
    PATCHES "patches",
    PATCH_MEAN "patch_mean",
    RESIDUAL "residual",
    ROTATE "rotate",
    ROWS "rows",
    SOFTMAX "softmax",
    SOFTMAX_BACKWARD "softmax_backward",
    TOKENS "tokens",
    TOKEN_MOMENTS "token_moments",
    WARP "warp",
}
