//! An encoder of lossless JPEGs by the definition of T.81, annex H.

/// What the encoder here is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub rows: usize,
    pub columns: usize,
    pub components: usize,
    pub precision: u8,
    pub predictor: u8,
    /// In lines.
    pub restart: usize,
    pub low: u8,
    /// Each colour in a scan of its own.
    pub apart: bool,
}

pub const KIND: Kind = Kind {
    rows: 7,
    columns: 5,
    components: 1,
    precision: 8,
    predictor: 1,
    restart: 0,
    low: 0,
    apart: false,
};

/// Samples that a point transform leaves as they are, with every jump that fits them.
pub fn samples(kind: Kind) -> Vec<u16> {
    let mut state = 1u32;
    let any = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = match state >> 30 {
            0 => 0,
            1 => 0xffff,
            _ => (state >> 14) as u16,
        };
        (value & (0xffff >> (16 - kind.precision))) >> kind.low << kind.low
    });
    any.take(kind.rows * kind.columns * kind.components).collect()
}

/// A lossless JPEG of `samples` by T.81, annex H.
pub fn encoded(kind: Kind, samples: &[u16]) -> Vec<u8> {
    let Kind { rows, columns, components, precision, predictor, restart, low, apart } = kind;
    let mut table = vec![0];
    table.extend([[1; 14].as_slice(), &[0, 3]].concat());
    table.extend(0..=16);
    let mut frame = vec![precision, 0, rows as u8, 0, columns as u8, components as u8];
    frame.extend((0..components as u8).flat_map(|component| [component + 1, 0x11, 0]));
    let mut jpeg = [vec![0xff, 0xd8], segment(0xc4, &table), segment(0xc3, &frame)].concat();
    if restart > 0 {
        jpeg.extend(segment(0xdd, &((restart * columns) as u16).to_be_bytes()));
    }
    let all: Vec<usize> = (0..components).collect();
    for scan in if apart { all.chunks(1).collect() } else { vec![all.as_slice()] } {
        let mut header = vec![scan.len() as u8];
        header.extend(scan.iter().flat_map(|&component| [component as u8 + 1, 0]));
        header.extend([predictor, 0, low]);
        jpeg.extend(segment(0xda, &header));
        let mut writer = Writer::default();
        write_scan(kind, scan, samples, &mut writer);
        writer.pad();
        jpeg.extend(writer.bytes);
    }
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

/// The rows of the components of a scan.
fn write_scan(kind: Kind, scan: &[usize], samples: &[u16], writer: &mut Writer) {
    let Kind { rows, columns, components, restart, low, .. } = kind;
    for row in 0..rows {
        let fresh = row == 0 || restart > 0 && row % restart == 0;
        if fresh && row > 0 {
            writer.pad();
            writer.bytes.extend([0xff, 0xd0 + ((row / restart - 1) % 8) as u8]);
        }
        for (column, &component) in
            (0..columns).flat_map(|column| scan.iter().map(move |c| (column, c)))
        {
            let at = |row: usize, column: usize| {
                i32::from(samples[(row * columns + column) * components + component] >> low)
            };
            let predicted = predicted(kind, fresh, row, column, at);
            // In -32,767 to 32,768.
            let difference = (at(row, column) - predicted + 32_767).rem_euclid(65_536) - 32_767;
            let size = 32 - difference.unsigned_abs().leading_zeros();
            let (bits, count) = code(size);
            writer.put(bits, count);
            if size < 16 {
                let ones = (1i32 << size) - 1;
                writer.put(
                    (if difference < 0 { difference + ones } else { difference }) as u32,
                    size,
                );
            }
        }
    }
}

/// The prediction of a sample from those before it (T.81, table H.1).
fn predicted(
    kind: Kind,
    fresh: bool,
    row: usize,
    column: usize,
    at: impl Fn(usize, usize) -> i32,
) -> i32 {
    match (fresh, column) {
        (true, 0) => 1 << (kind.precision - kind.low - 1),
        (true, _) => at(row, column - 1),
        (false, 0) => at(row - 1, 0),
        _ => {
            let (a, b, c) = (at(row, column - 1), at(row - 1, column), at(row - 1, column - 1));
            let half = |value: i32| value.div_euclid(2);
            [a, b, c, a + b - c, a + half(b - c), b + half(a - c), half(a + b)]
                [kind.predictor as usize - 1]
        }
    }
}

/// Codes of 1 to 14 bits for the sizes 0 to 13, and of 16 bits for 14 to 16.
fn code(size: u32) -> (u32, u32) {
    if size < 14 { ((1 << (size + 1)) - 2, size + 1) } else { (0xfffc + size - 14, 16) }
}

pub fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Writer {
    fn put(&mut self, value: u32, count: u32) {
        self.held = self.held << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    fn pad(&mut self) {
        let left = (8 - self.count % 8) % 8;
        self.put((1 << left) - 1, left);
    }
}
