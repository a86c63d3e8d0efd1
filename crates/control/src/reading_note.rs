//! What a coordinator says with a reading, as the header of its call has it: `<reader> <number> <proxy>=<number>,…`

use control_core::ReadingNote;

/// The header's value.
pub(crate) fn write(note: &ReadingNote) -> String {
    let silent: Vec<String> = note.silent.iter().map(|(proxy, since)| format!("{proxy}={since}")).collect();
    format!("{} {} {}", note.reader, note.number, silent.join(","))
}

/// What a header says; `None` where it cannot be read.
pub(crate) fn read(header: &str) -> Option<ReadingNote> {
    let mut words = header.splitn(3, ' ');
    let (reader, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let silent = words.next().unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let one = |word: &str| {
        let (proxy, since) = word.split_once('=')?;
        Some((proxy.parse().ok()?, since.parse().ok()?))
    };
    Some(ReadingNote { reader, number, silent: silent.map(one).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_the_way() {
        let proxies = [("10.0.0.1:5299", 7), ("a-host:1", 40)];
        let silent = proxies.map(|(proxy, since)| (proxy.parse().unwrap(), since)).into();
        for note in [ReadingNote { reader: u64::MAX, number: 41, silent }, ReadingNote::default()] {
            assert_eq!(read(&write(&note)), Some(note));
        }
        for bad in ["", "none", "1", "x 2 ", "1 2 a:1", "1 2 a:1=", "1 2 a:1=x", "1 2 a:1=2,b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
