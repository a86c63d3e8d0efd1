//! The compressed form: base64 of gzip of JSON.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{MetaError, MetaFault, MetaPlace};

/// The largest JSON that a payload may unpack to. A cluster of a thousand proxies with its slots in small
/// pieces is well under a megabyte; what unpacks to more is not a view.
pub const PAYLOAD_JSON_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Packs a value.
pub(super) fn pack(value: &impl Serialize) -> String {
    let json =
        serde_json::to_vec(value).expect("the wire types have only text keys and cannot fail to serialise");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&json).expect("writing to memory does not fail");
    STANDARD.encode(gzip.finish().expect("writing to memory does not fail"))
}

/// As much of the JSON parser's words as an error repeats.
const ERROR_CHARS_MAX: usize = 200;

/// Unpacks a value; at most [`PAYLOAD_JSON_BYTES_MAX`] bytes of JSON.
pub(super) fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Result<T, MetaError> {
    let fault = |text: String| MetaFault::Payload(text).at(MetaPlace::Payload);
    let gzip = STANDARD.decode(packed).map_err(|error| fault(format!("not base64: {error}")))?;
    let mut decoder = GzDecoder::new(gzip.as_slice());
    let mut json = Vec::new();
    // One byte more than allowed shows that there was more, however much more it would have been.
    let read = decoder.by_ref().take(PAYLOAD_JSON_BYTES_MAX as u64 + 1).read_to_end(&mut json);
    read.map_err(|error| fault(format!("not gzip: {error}")))?;
    if json.len() > PAYLOAD_JSON_BYTES_MAX {
        return Err(fault(format!("unpacks to more than {PAYLOAD_JSON_BYTES_MAX} bytes")));
    }
    if !decoder.into_inner().is_empty() {
        return Err(fault("something follows the gzip stream".to_owned()));
    }
    serde_json::from_slice(&json)
        .map_err(|error| fault(format!("not the JSON of this command: {}", one_line(&error.to_string()))))
}

/// The parser repeats what it did not expect, whatever that holds; an error is a line of bounded length.
fn one_line(text: &str) -> String {
    let shown = |character: char| if character.is_control() { '?' } else { character };
    text.chars().take(ERROR_CHARS_MAX).map(shown).collect()
}
