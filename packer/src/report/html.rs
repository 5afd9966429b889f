//! Blocks into HTML. Whatever comes from outside goes through [`escape`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Block, Gallery, Picture, Report, chart, table};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let mut body = String::new();
    let mut open = false;
    for block in &report.blocks {
        if let Block::Heading(text) = block {
            body += if open { "</section>\n<section>\n" } else { "<section>\n" };
            body += &format!("<h2>{}</h2>\n", escape(text));
            open = true;
        } else {
            body += &self::block(block);
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

/// Text that HTML shows as it is, in content and in quoted attributes. Control characters become a
/// replacement mark.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\n' | '\t' => escaped.push(' '),
            // Directional overrides could make a name read backwards.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

fn block(block: &Block) -> String {
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
        Block::Gallery(gallery) => self::gallery(gallery),
    }
}

fn beside(figures: impl Iterator<Item = String>) -> String {
    format!("<div class=\"beside\">\n{}</div>\n", figures.collect::<String>())
}

fn gallery(gallery: &Gallery) -> String {
    let pictures: String = gallery.pictures.iter().map(picture).collect();
    let caption = escape(&gallery.caption);
    format!(
        "<figure class=\"gallery\">\n<figcaption>{caption}</figcaption>\n<ul>\n{pictures}</ul>\n\
         </figure>\n"
    )
}

fn picture(picture: &Picture) -> String {
    let mut words = Vec::new();
    if let Some(truth) = &picture.truth {
        words.push(format!("<span>truth <b>{}</b></span>", escape(truth)));
    }
    let mut class = "";
    if let Some(prediction) = &picture.prediction {
        let sign = match &picture.truth {
            Some(truth) if *truth == prediction.class => "\u{2713} ",
            Some(_) => {
                class = " class=\"wrong\"";
                "\u{2717} "
            }
            None => "",
        };
        let percent = 100.0 * prediction.probability;
        words.push(format!(
            "<span>{sign}predicted <b>{}</b> {percent:.0}&nbsp;%</span>",
            escape(&prediction.class)
        ));
    }
    let source = escape(&picture.source);
    words.push(format!("<span class=\"source\">{source}</span>"));
    let data = STANDARD.encode(&picture.png);
    let alt = format!("Image {source}");
    format!(
        "<li{class}><img alt=\"{alt}\" src=\"data:image/png;base64,{data}\"><div>{}</div></li>\n",
        words.join("<br>")
    )
}
