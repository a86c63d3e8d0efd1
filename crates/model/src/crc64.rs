//! CRC-64/Jones, the one that Redis uses for RDB files, DUMP payloads and here for node ids.

/// The Jones polynomial 0xad93d23594c935a9, bit-reversed because the checksum is reflected.
const POLYNOMIAL_REFLECTED: u64 = 0x95ac_9329_ac4b_c9b5;

static TABLE: [u64; 256] = table();

/// Redis's CRC64 of `bytes` (start 0, reflected, no final xor).
#[must_use]
pub fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0u64, |crc, &byte| {
        let [low, ..] = crc.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ (crc >> 8)
    })
}

const fn table() -> [u64; 256] {
    let mut table = [0u64; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ POLYNOMIAL_REFLECTED };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_values() {
        let check =
            |text: &str, expected: u64| assert_eq!(super::crc64(text.as_bytes()), expected, "{text:?}");
        check("", 0);
        // The check value in the comment of Redis's crc64.c.
        check("123456789", 0xe9c6_d914_c4b8_d9ca);
        check("127.0.0.1:5299", 0x9f8f_ca28_0592_3328);
    }
}
