//! Tokens only rise: in the order of the grants, and in the order of the writes that a register accepted.

/// Neighbours that are out of order, in a sequence where each grant has a token of its own.
pub(crate) fn among_grants(tokens: impl IntoIterator<Item = i64>) -> Vec<(i64, i64)> {
    pairs(tokens, |earlier, later| later <= earlier)
}

/// Neighbours that are out of order, in a sequence where one holder may come several times.
pub(crate) fn among_writes(tokens: impl IntoIterator<Item = i64>) -> Vec<(i64, i64)> {
    pairs(tokens, |earlier, later| later < earlier)
}

/// Compared with the highest so far, not with the one before: a token that comes too late may be followed by another.
fn pairs(tokens: impl IntoIterator<Item = i64>, wrong: impl Fn(i64, i64) -> bool) -> Vec<(i64, i64)> {
    let mut tokens = tokens.into_iter();
    let Some(mut highest) = tokens.next() else { return vec![] };
    let mut found = Vec::new();
    for token in tokens {
        if wrong(highest, token) {
            found.push((highest, token));
        }
        highest = highest.max(token);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_go_back_are_flagged_each() {
        assert_eq!(among_grants([1, 5, 3, 4, 6]), [(5, 3), (5, 4)]);
        assert_eq!(among_writes([1, 5, 3, 4, 6]), [(5, 3), (5, 4)]);
    }

    #[test]
    fn one_token_for_two_grants_is_flagged_and_two_writes_of_one_grant_are_not() {
        assert_eq!(among_grants([1, 2, 2]), [(2, 2)]);
        assert_eq!(among_writes([1, 2, 2]), []);
    }

    #[test]
    fn rising_tokens_with_gaps_are_not_flagged() {
        assert_eq!(among_grants([]), []);
        assert_eq!(among_grants([-3, 0, 7, 4_294_967_297]), []);
    }
}
