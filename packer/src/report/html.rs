//! The page as HTML. Every text from outside goes through [`escape`].

use super::block::Block;
use super::escape::escape;
use super::{chart, gallery, table};
use crate::Error;
use crate::output::NewFile;

const STYLE: &str = include_str!("style.css");

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub title: String,
    /// One or two sentences under the title.
    pub summary: String,
    pub blocks: Vec<Block>,
}

impl Report {
    /// The page as HTML.
    pub fn html(&self) -> String {
        page(self)
    }

    /// Writes the page to `file`: whole or not at all.
    ///
    /// # Errors
    /// As [`NewFile::write`].
    pub fn write(&self, file: &NewFile) -> Result<(), Error> {
        file.write(self.html().as_bytes())
    }
}

/// The whole page.
fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let mut body = String::new();
    let mut open = false;
    for block in &report.blocks {
        if let Block::Heading(text) = block {
            body += if open { "</section>\n<section>\n" } else { "<section>\n" };
            body += &format!("<h2>{}</h2>\n", escape(text));
            open = true;
        } else {
            body += &html_of(block);
        }
    }
    if open {
        body += "</section>\n";
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>{title}</h1>\n\
         <p class=\"summary\">{}</p>\n</header>\n<main>\n{body}</main>\n\
         <footer>Made by packer {}. This page loads nothing and sends \
         nothing.</footer>\n</body>\n</html>\n",
        escape(&report.summary),
        env!("CARGO_PKG_VERSION"),
    )
}

/// One block, which is no heading.
fn html_of(block: &Block) -> String {
    match block {
        Block::Heading(_) => String::new(),
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Note(text) => format!("<p class=\"note\" role=\"note\">{}</p>\n", escape(text)),
        Block::Facts(facts) => {
            let rows = facts.iter().map(|(name, value)| {
                format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value))
            });
            format!("<dl class=\"facts\">\n{}</dl>\n", rows.collect::<String>())
        }
        Block::Charts(charts) => beside(charts.iter().map(chart::figure)),
        Block::Metrics(metrics) => table::metrics(metrics),
        Block::Confusions(confusions) => beside(confusions.iter().map(table::confusion)),
        Block::Gallery(gallery) => gallery::figure(gallery),
    }
}

/// Figures that stand beside each other where there is room.
fn beside(figures: impl Iterator<Item = String>) -> String {
    format!("<div class=\"beside\">\n{}</div>\n", figures.collect::<String>())
}
