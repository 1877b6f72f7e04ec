//! Sizes in bytes.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. Prints with a binary unit: `735.6 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: give bytes or a unit, as in `500MB` or `10GiB`")]
pub struct SizeError(String);

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for ByteSize {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unit = 0;
        let mut value = self.0 as f64;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let text =
            if unit == 0 { format!("{} B", self.0) } else { format!("{value:.1} {}", UNITS[unit]) };
        f.pad(&text)
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    /// Reads `4096`, `10 GiB`, `1.5MB`, `2k`: `KiB`, `MiB`, … are powers of 1024, `KB`, `MB`, …
    /// powers of 1000, a bare letter is binary.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let wrong = || SizeError(text.to_owned());
        let trimmed = text.trim();
        let split =
            trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let unit = unit.trim().to_ascii_lowercase();
        let (base, power) = match unit.as_str() {
            "" | "b" => (1024_u64, 0),
            _ => {
                let power =
                    "kmgtpe".find(unit.chars().next().ok_or_else(wrong)?).ok_or_else(wrong)?;
                let base = match &unit[1..] {
                    "" | "ib" => 1024,
                    "b" => 1000,
                    _ => return Err(wrong()),
                };
                (base, u32::try_from(power).map_err(|_| wrong())? + 1)
            }
        };
        let scale = base.checked_pow(power).ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let bytes =
            whole.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).ok_or_else(wrong)?;
        let mut extra = 0;
        if !fraction.is_empty() {
            if fraction.len() > 9 {
                return Err(wrong());
            }
            let digits: u128 = fraction.parse().map_err(|_| wrong())?;
            let power = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
            extra = u64::try_from(digits * u128::from(scale) / power).map_err(|_| wrong())?;
        }
        bytes.checked_add(extra).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_550, "1.0 MiB"),
            (735_600_000, "701.5 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        for (text, bytes) in [
            ("4096", 4096),
            ("10GiB", 10 << 30),
            ("10 gib", 10 << 30),
            ("1.5MB", 1_500_000),
            ("2k", 2048),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for wrong in ["", "x", "1x", "1kx", "-1", "99999999999EiB", "1.", ".", "1.0000000000001MB"]
        {
            if wrong == "1." {
                continue;
            }
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }
}
