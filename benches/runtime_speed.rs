//! The runtime's half of `benches/runtime.py`: loads a bundle, then does what it is told on standard input, one line each, and
//! answers with wall and processor seconds, so that a peer can take its turns in between.

use std::io::{BufRead, Write};
use std::time::Instant;

use cpu_time::ProcessTime;
use medforge_runtime::bundle::{self, Trust};
use medforge_runtime::classify::{Classifier, Options, Threads};
use medforge_runtime::image::RgbView;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [bundle, trust, threads] = &arguments[..] else { return Err("give BUNDLE TRUST THREADS".into()) };
    let threads = match threads.parse::<usize>()? {
        0 | 1 => Threads::Caller,
        count => Threads::Own(count.try_into()?),
    };
    let options = Options { threads, ..Options::default() };
    let trust = Trust::from_pem(&std::fs::read_to_string(trust)?)?;
    let (start, cpu) = (Instant::now(), ProcessTime::now());
    let classifier = Classifier::load_with(bundle::verify(std::fs::read(bundle)?, &trust)?, &options)?;
    println!("{} {}", start.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3).map(|i| (i * 31 % 251) as u8).collect();
    let image = RgbView::new(&pixels, SIDE, SIDE, SIDE as usize * 3)?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let (start, cpu) = (Instant::now(), ProcessTime::now());
        let found = classifier.classify(image, None)?;
        println!("{} {} {}", start.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64(), found.top().2);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Side of the image: the base's, so that resizing is as cheap as it can be.
const SIDE: u32 = 224;
