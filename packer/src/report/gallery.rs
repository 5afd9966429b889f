//! Pictures with their true and predicted class.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::block::{Gallery, Picture};
use super::escape::escape;

/// The pictures of a gallery.
pub fn figure(gallery: &Gallery) -> String {
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
