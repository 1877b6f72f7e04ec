//! Frames: four bytes of length, big-endian, and one JSON object in UTF-8.

use std::io::{self, Read};

use serde_json::Value;

/// Largest body of a frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// What is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the stream ended")]
    Ended,
    #[error("a frame of {0} bytes is larger than {MAX_FRAME}")]
    TooLarge(usize),
    #[error("a frame is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("the stream cannot be read: {0}")]
    Io(io::Error),
}

/// A frame around `bytes`.
pub(super) fn framed(bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= MAX_FRAME)
        .ok_or(FrameError::TooLarge(bytes.len()))?;
    Ok([&length.to_be_bytes(), bytes].concat())
}

/// A frame around a message.
pub(super) fn encoded(message: &Value) -> Result<Vec<u8>, FrameError> {
    framed(message.to_string().as_bytes())
}

/// Reads one frame; [`FrameError::Ended`] at the end of the stream, inside a frame too.
pub(super) fn read(stream: &mut impl Read) -> Result<Value, FrameError> {
    let mut head = [0; 4];
    let ended = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Ended,
        _ => FrameError::Io(error),
    };
    stream.read_exact(&mut head).map_err(ended)?;
    let length = u32::from_be_bytes(head) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(ended)?;
    serde_json::from_slice(&body).map_err(FrameError::NotJson)
}

/// Reads up to and with `marker` and returns what came before; `None` where the stream ends, or
/// more than `limit` bytes pass, without one.
pub(super) fn skip_to(
    stream: &mut impl Read,
    marker: &[u8],
    limit: usize,
) -> (Vec<u8>, Option<()>) {
    let mut before = Vec::new();
    let mut byte = [0];
    while before.len() < limit && matches!(stream.read(&mut byte), Ok(1)) {
        before.push(byte[0]);
        if before.ends_with(marker) {
            before.truncate(before.len() - marker.len());
            return (before, Some(()));
        }
    }
    (before, None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_and_back() {
        let message = json!({"id": 1, "ok": "é"});
        let mut stream = encoded(&message).unwrap();
        assert_eq!(stream[..4], [0, 0, 0, 18]);
        stream.extend(encoded(&json!({})).unwrap());
        let mut stream = stream.as_slice();
        assert_eq!(read(&mut stream).unwrap(), message);
        assert_eq!(read(&mut stream).unwrap(), json!({}));
        assert!(matches!(read(&mut stream), Err(FrameError::Ended)));
    }

    #[test]
    fn what_is_refused() {
        assert!(matches!(read(&mut [0, 0, 0, 9, b'{'].as_slice()), Err(FrameError::Ended)));
        assert!(matches!(read(&mut [0, 0, 0, 1, b'{'].as_slice()), Err(FrameError::NotJson(_))));
        // Refused by its length alone, before anything is set aside for it.
        assert!(matches!(read(&mut b"PRINTED".as_slice()), Err(FrameError::TooLarge(_))));
        assert!(matches!(framed(&vec![0; MAX_FRAME + 1]), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn noise_before_the_marker() {
        let mut stream = b"hello\n\0>>rest".as_slice();
        assert_eq!(skip_to(&mut stream, b"\0>>", 100), (b"hello\n".to_vec(), Some(())));
        assert_eq!(stream, b"rest");
        assert_eq!(skip_to(&mut b"nothing".as_slice(), b"\0>>", 100).1, None);
        assert_eq!(skip_to(&mut b"long noise\0>>".as_slice(), b"\0>>", 4).1, None);
    }
}
