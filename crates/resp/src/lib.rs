//! Framing and encoding of the Redis protocol: RESP2, RESP3 and inline commands.
