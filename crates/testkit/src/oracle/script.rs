//! What the oracle plays: a list of pipelines for several sessions, as plain data that can be cut down and
//! printed.

use std::fmt;

use resp::encode;

use super::compare::Comparison;
use crate::frame::show;

/// How a request is written to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a RESP array of bulk strings.
    Array,
    /// As an inline command, each argument quoted.
    Inline,
    /// The one argument's bytes as they are, for requests that break the protocol.
    Raw,
}

/// One request and how its two replies are compared.
#[derive(Clone, Debug)]
pub struct Request {
    /// The command's name and arguments.
    pub args: Vec<Vec<u8>>,
    /// How it is written.
    pub form: Form,
    /// How the replies are compared.
    pub comparison: Comparison,
}

impl Request {
    /// A request as a RESP array.
    #[must_use]
    pub fn new(args: Vec<Vec<u8>>) -> Self {
        Self { args, form: Form::Array, comparison: Comparison::Exact }
    }

    /// Appends the request's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self.form {
            Form::Array => {
                let args: Vec<&[u8]> = self.args.iter().map(Vec::as_slice).collect();
                encode::request(out, &args);
            }
            Form::Inline => {
                for arg in &self.args {
                    out.push(b'"');
                    for byte in arg {
                        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                    }
                    out.extend_from_slice(b"\" ");
                }
                out.extend_from_slice(b"\r\n");
            }
            Form::Raw => out.extend(self.args.iter().flatten()),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(|arg| show(arg)).collect();
        match self.form {
            Form::Array => write!(formatter, "{}", args.join(" ")),
            form => write!(formatter, "({form:?}) {}", args.join(" ")),
        }
    }
}

/// One pipeline of one session: sent in one go, then all its replies are read.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which session sends it.
    pub session: usize,
    /// What is sent.
    pub requests: Vec<Request>,
    /// Where the bytes are cut into separate writes; each number is taken modulo the length.
    pub cuts: Vec<usize>,
    /// Whether the server closes the connection after it; the session then begins again.
    pub closes: bool,
}

impl Step {
    /// The bytes to send, one piece for each write.
    #[must_use]
    pub fn pieces(&self) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        for request in &self.requests {
            request.encode(&mut bytes);
        }
        let mut ends: Vec<usize> = self.cuts.iter().map(|cut| cut % bytes.len().max(1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut start = 0;
        let mut pieces = Vec::new();
        for end in ends {
            if end > start {
                pieces.push(bytes[start..end].to_vec());
                start = end;
            }
        }
        pieces
    }
}

/// A whole play.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The pipelines, in order.
    pub steps: Vec<Step>,
    /// Whether the sessions run at the same time. Then no two of them touch the same key, because otherwise the
    /// replies would depend on who came first.
    pub concurrent: bool,
    /// Whether the servers have one database only, as Redis Cluster has.
    pub one_database: bool,
}

impl Script {
    /// The number of requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.steps.iter().map(|step| step.requests.len()).sum()
    }

    /// The number of sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.steps.iter().map(|step| step.session + 1).max().unwrap_or(0)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let ending = if step.closes { ", closing" } else { "" };
            writeln!(formatter, "session {} in {} writes{ending}:", step.session, step.pieces().len())?;
            for request in &step.requests {
                writeln!(formatter, "    {request}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_cuts() {
        let request = |form| Request { form, ..Request::new(vec![b"GET".to_vec(), b"a\r".to_vec()]) };
        let mut step =
            Step { session: 0, requests: vec![request(Form::Array)], cuts: vec![3, 24], closes: false };
        // 21 bytes in all: both cuts fall on 3.
        assert_eq!(step.pieces(), [b"*2\r".to_vec(), b"\n$3\r\nGET\r\n$2\r\na\r\r\n".to_vec()]);
        step.requests = vec![request(Form::Inline)];
        step.cuts.clear();
        assert_eq!(step.pieces(), [b"\"\\x47\\x45\\x54\" \"\\x61\\x0d\" \r\n".to_vec()]);
        step.requests = vec![request(Form::Raw)];
        assert_eq!(step.pieces(), [b"GETa\r".to_vec()]);
    }
}
