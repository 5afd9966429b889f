"""The checks find what they are there to find: `python3 -m unittest discover -s tests/house -p self_test.py`."""

import unittest

import circles
import prose
import sizes
from rust import blank, functions


def crate(**files):
    return list(circles.faults({f"{name.replace('__', '/')}.rs": text for name, text in files.items()}))


class Circles(unittest.TestCase):
    def test_two_files_that_import_each_other(self):
        for back in (
            "use crate::a::A;",
            "use super::{a, b};",
            "fn f() { super::a::f(); }",
            "use super::a as other;\nfn f() { other::f(); }",
            "use crate::{a::{A, C}};",
        ):
            self.assertEqual(len(crate(lib="mod a; mod b;", a="use crate::b::B;", b=back)), 1, back)

    def test_three_files_in_a_ring_and_no_fourth(self):
        [fault] = crate(
            lib="", a="use crate::b::B;", b="use crate::c::C;", c="use crate::a::A;", d="use crate::a::A;"
        )
        self.assertIn("3 files", fault)

    def test_what_is_handed_on_comes_from_where_it_is(self):
        self.assertEqual(len(crate(lib="pub use a::A;", a="use crate::b::B;", b="use crate::A;")), 1)
        self.assertEqual(
            len(crate(lib="pub(crate) use a::*;", a="pub struct A;\nuse crate::b::B;", b="use crate::A;")), 1
        )
        self.assertEqual(crate(lib="pub use a::A;\npub use b::B;", a="pub struct A;", b="use crate::A;"), [])

    def test_folders_and_their_files(self):
        self.assertEqual(
            len(crate(lib="", a__mod="use super::b::B;", b="use crate::a::c::C;", a__c="use super::D;")), 1
        )

    def test_one_way_comments_texts_and_tests_are_no_circle(self):
        for back in (
            "",
            "// use crate::a::A;",
            'const T: &str = "crate::a::A";',
            "/* crate::a::A */",
            'r#"crate::a::A"#;',
            "#[cfg(test)]\nmod tests { use crate::a::A; }",
            "#[cfg(test)]\nuse crate::a::A;",
        ):
            self.assertEqual(crate(lib="", a="use crate::b::B;", b=back), [], back)
        self.assertEqual(
            crate(lib="", a="use crate::b::B;\nfn f() {}", b="#[cfg(test)]\nmod made;", b__made="use crate::a::A;"),
            [],
        )


class Sizes(unittest.TestCase):
    def faults(self, text, goals=False):
        return list(sizes.faults({"a.rs": text}, goals))

    def test_long_lines_and_files(self):
        self.assertEqual(self.faults("x" * 100 + "\n" * 500), [])
        self.assertIn("a.rs:2: 101 characters", self.faults("\n" + "ü" * 101)[0])
        self.assertIn("501 lines", self.faults("\n" * 501)[0])
        self.assertEqual(self.faults("// @generated\n" + "x" * 200), [])

    def test_median_and_ninth_decile(self):
        self.assertEqual(len(self.faults("\n" * 131, goals=True)), 1)
        self.assertEqual(len(self.faults("\n" * 301, goals=True)), 2)

    def test_long_functions_and_many_parameters(self):
        long = "fn long() {" + "\n" * 60 + "}\n"
        many = "fn many(&self, a: A<B, C>, b: (u8, u8), c: fn(u8, u8) -> u8, d: u8, e: u8, f: u8, g: u8,) {}\n"
        self.assertEqual(self.faults(long * 5 + many * 2), [])
        self.assertIn("long has 61 lines", self.faults(long * 6)[0])
        self.assertIn("many has 7 parameters", self.faults(many * 3)[0])

    def test_functions_among_texts_generics_and_traits(self):
        code = blank(
            'trait T { fn none(&self); }\nfn a<F: Fn(u8) -> u8>(f: F, [x, y]: [u8; 2]) -> [u8; 2] where F: Copy {\n'
            "'}'; '\\''; b'{'; \"}\\\"}\"; r#\"}\"}\"#; /* } /* } */ } */ // }\n}\n"
        )
        self.assertEqual([(*f,) for f in functions(code)], [("a", 2, 3, 2)])


class Prose(unittest.TestCase):
    def test_long_lines_outside_tables_and_code(self):
        long = "x" * 121
        self.assertEqual(len(list(prose.long_lines("a.md", f"{long}\n- {long}\n    {long}"))), 3)
        self.assertEqual(
            list(prose.long_lines("a.md", f"| {long} |\n```\n{long}\n```\n\n    {long}\n\n{'x' * 120}")), []
        )

    def test_placeholders(self):
        known = prose.known("| word | is |\n|---|---|\n| DICOM | a standard |\n| CPU, GPU | chips |")
        self.assertEqual(known, {"DICOM", "CPU", "GPU"})
        self.assertEqual(len(list(prose.placeholders("a.md", "takes NUMBER s\n```\nTODO\n```\nXXX", known))), 2)
        text = "DICOM on a CPU, `packer --out DIR`, [x](README.md), `a\nPLACE b`, MA-ES"
        self.assertEqual(list(prose.placeholders("a.md", text, known)), [])

    def test_paths_that_lead_nowhere(self):
        there = {"docs/a.md", "docs/b.md", "runtime/src/", "README.md"}.__contains__
        text = "[b](b.md#part) [r](https://example.org) `runtime/src/` `docs/b.md` `s/x.rs` `runtime` `packer.toml`"
        self.assertEqual(list(prose.lost("docs/a.md", text, there)), [])
        text = "[b](c.md) `runtime/src/lib.rs` `docs/results/`"
        self.assertEqual(len(list(prose.lost("docs/a.md", text, there))), 3)

    def test_readme_code_stands_in_an_example(self):
        page = "text\n```rust\nlet a = 1;\nlet b = 2;\n```\n"
        self.assertEqual(
            list(prose.strays("a.md", page, "rust", ["fn f() {\n    let a = 1;\n    let b = 2;\n}"])), []
        )
        self.assertEqual(len(list(prose.strays("a.md", page, "rust", ["let a = 1;\n", "let b = 2;"]))), 1)


if __name__ == "__main__":
    unittest.main()
