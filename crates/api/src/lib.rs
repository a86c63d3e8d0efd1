//! Types and client of the HTTP API.
