//! CRC16/XMODEM (polynomial 0x1021, start 0, not reflected), the checksum behind a key's slot.
//!
//! It runs for every request, so eight bytes are taken per step: table `k` gives the effect of a byte
//! that has `k` more bytes after it in the step, and the eight lookups do not wait for each other.

const POLYNOMIAL: u16 = 0x1021;
const STEP: usize = 8;

static TABLES: [[u16; 256]; STEP] = tables();

/// The CRC16/XMODEM of `bytes`, as in the Redis Cluster specification, appendix A.
#[must_use]
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let mut crc = 0u16;
    for step in steps {
        let [high, low] = crc.to_be_bytes();
        crc = TABLES[7][usize::from(step[0] ^ high)]
            ^ TABLES[6][usize::from(step[1] ^ low)]
            ^ TABLES[5][usize::from(step[2])]
            ^ TABLES[4][usize::from(step[3])]
            ^ TABLES[3][usize::from(step[4])]
            ^ TABLES[2][usize::from(step[5])]
            ^ TABLES[1][usize::from(step[6])]
            ^ TABLES[0][usize::from(step[7])];
    }
    for &byte in rest {
        let [high, _] = crc.to_be_bytes();
        crc = (crc << 8) ^ TABLES[0][usize::from(high ^ byte)];
    }
    crc
}

const fn tables() -> [[u16; 256]; STEP] {
    let mut tables = [[0u16; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut later = 1;
    while later < STEP {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[later - 1][byte];
            tables[later][byte] = (crc << 8) ^ tables[0][(crc >> 8) as usize];
            byte += 1;
        }
        later += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_values() {
        let check =
            |text: &str, expected: u16| assert_eq!(super::crc16(text.as_bytes()), expected, "{text:?}");
        check("", 0);
        check("123456789", 0x31c3);
        check("a", 0x7c87);
    }
}
