//! Licence expressions, as annex D of SPDX 2.3 writes them, and with the `/` that older packages
//! have for `OR`. Operators bind as the annex says: `WITH`, then `AND`, then `OR`.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// The name of a licence, with its exception after ` WITH `.
    Licence(String),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// Why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, Unreadable> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = Words { rest: spaced.split_whitespace().collect(), at: 0 };
        let expression = words.any()?;
        match words.next() {
            None => Ok(expression),
            Some(word) => Err(Unreadable(format!("`{word}` is not expected there"))),
        }
    }

    /// Can it be met with licences that `allowed` takes?
    pub(super) fn is_met(&self, allowed: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Licence(name) => allowed(name),
            Self::All(parts) => parts.iter().all(|part| part.is_met(allowed)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(allowed)),
        }
    }
}

struct Words<'a> {
    rest: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.rest.get(self.at).copied();
        self.at += 1;
        word
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.rest.get(self.at) == Some(&word);
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> Result<Expression, Unreadable> {
        let mut parts = vec![self.all()?];
        while self.takes("OR") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, Unreadable> {
        let mut parts = vec![self.one()?];
        while self.takes("AND") {
            parts.push(self.one()?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn one(&mut self) -> Result<Expression, Unreadable> {
        if self.takes("(") {
            let inner = self.any()?;
            return if self.takes(")") {
                Ok(inner)
            } else {
                Err(Unreadable("a `)` is missing".to_owned()))
            };
        }
        let mut name = self.name()?.to_owned();
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.name()?);
        }
        Ok(Expression::Licence(name))
    }

    fn name(&mut self) -> Result<&'a str, Unreadable> {
        match self.next() {
            None => Err(Unreadable("a licence is missing at the end".to_owned())),
            Some(word @ ("OR" | "AND" | "WITH" | "(" | ")")) => {
                Err(Unreadable(format!("a licence is missing before `{word}`")))
            }
            Some(word) => Ok(word),
        }
    }
}

fn one_or(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { several(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licence(name: &str) -> Expression {
        Expression::Licence(name.to_owned())
    }

    #[test]
    fn and_binds_before_or() {
        assert_eq!(
            Expression::parse("MIT OR Zlib AND ISC").unwrap(),
            Expression::Any(vec![
                licence("MIT"),
                Expression::All(vec![licence("Zlib"), licence("ISC")])
            ])
        );
        assert_eq!(
            Expression::parse("(MIT OR Zlib) AND ISC").unwrap(),
            Expression::All(vec![
                Expression::Any(vec![licence("MIT"), licence("Zlib")]),
                licence("ISC")
            ])
        );
    }

    #[test]
    fn what_an_expression_needs() {
        let allowed = |name: &str| {
            ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].contains(&name)
        };
        for (text, met) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("GPL-2.0/MIT", true),
            ("MIT OR Apache-2.0 OR LGPL-2.1-or-later", true),
            ("MIT AND LGPL-2.1-or-later", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND MPL-2.0", false),
            ("MIT OR Apache-2.0 AND MPL-2.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH Swift-exception", false),
            ("((MIT))", true),
            // The names and operators of SPDX are written one way.
            ("mit", false),
        ] {
            let expression = Expression::parse(text).unwrap();
            assert_eq!(expression.is_met(&allowed), met, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression() {
        for (text, why) in [
            ("", "a licence is missing at the end"),
            ("MIT OR", "a licence is missing at the end"),
            ("OR MIT", "a licence is missing before `OR`"),
            ("MIT AND AND ISC", "a licence is missing before `AND`"),
            ("(MIT", "a `)` is missing"),
            ("MIT)", "`)` is not expected there"),
            ("MIT Apache-2.0", "`Apache-2.0` is not expected there"),
            ("MIT WITH (ISC)", "a licence is missing before `(`"),
        ] {
            assert_eq!(Expression::parse(text).unwrap_err().to_string(), why, "{text}");
        }
    }
}
