//! What must hold of the frames that the tests' proxy reads, whatever bytes pass through it.

// The proxy keeps its parser to itself.
#[path = "../../../testcontainers/src/proxy/wire.rs"]
mod wire;

use super::{Verdict, holds};
use wire::{FromServer, Length, Operation};

/// The most that is taken for a frame.
const LARGEST: i32 = 64 << 20;

/// What a parser says of a frame from a client: request id, code of the operation, path.
pub type Request = (i32, i32, Option<String>);

/// All properties, of the shipped parser.
pub fn shipped(data: &[u8]) -> Verdict {
    length_is_taken_or_not(data)?;
    request_is_what_the_bytes_say(
        |frame| wire::request(frame).map(|request| (request.xid, request.operation.code(), request.path)),
        data,
    )?;
    reply_is_what_the_bytes_say(data)
}

fn int_at(data: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*data.get(at..)?.first_chunk::<4>()?))
}

fn length_is_taken_or_not(data: &[u8]) -> Verdict {
    let Some(field) = data.first_chunk::<4>() else { return Ok(()) };
    let number = i32::from_be_bytes(*field);
    let is_as_it_should = match wire::length(*field) {
        Length::Frame(length) => (0..=LARGEST).contains(&number) && i32::try_from(length) == Ok(number),
        Length::NoFrame => !(0..=LARGEST).contains(&number),
    };
    holds(is_as_it_should, || format!("a length of {number} is {:?}", wire::length(*field)))
}

/// A request is read from eight bytes on; its path is part of the frame, and more bytes behind do not change it.
pub fn request_is_what_the_bytes_say(parse: impl Fn(&[u8]) -> Option<Request>, data: &[u8]) -> Verdict {
    let parsed = parse(data);
    let expected = int_at(data, 0).zip(int_at(data, 4));
    let head = parsed.as_ref().map(|(xid, code, _)| (*xid, *code));
    holds(head == expected, || format!("{data:?} is {parsed:?}, should begin with {expected:?}"))?;
    let Some((_, code, path)) = &parsed else { return Ok(()) };
    holds(Operation::from_code(*code).code() == *code, || format!("the code {code} does not come back"))?;
    if let Some(path) = path {
        let is_there = data.windows(path.len().max(1)).any(|part| part == path.as_bytes());
        // Replacement characters stand for what is no text.
        holds(path.is_empty() || is_there || path.contains('\u{fffd}'), || format!("{path:?} is not in {data:?}"))?;
        let longer = parse(&[data, b"more"].concat());
        holds(longer == parsed, || format!("{parsed:?} became {longer:?} with more behind it"))?;
    }
    Ok(())
}

fn reply_is_what_the_bytes_say(data: &[u8]) -> Verdict {
    let parsed = wire::from_server(data);
    match &parsed {
        None => holds(data.len() < 16 || int_at(data, 0) == Some(-1), || format!("{data:?} is no reply")),
        Some(FromServer::Reply { xid, zxid, err }) => {
            let zxid_bytes = zxid.to_be_bytes();
            let is_so = *xid != -1
                && int_at(data, 0) == Some(*xid)
                && data.get(4..12) == Some(&zxid_bytes[..])
                && int_at(data, 12) == Some(*err);
            holds(is_so, || format!("{data:?} is {parsed:?}"))?;
            let ping = wire::answer_to_ping(*zxid);
            let read = ping.get(4..).and_then(wire::from_server);
            let expected = FromServer::Reply { xid: -2, zxid: *zxid, err: 0 };
            holds(read == Some(expected), || format!("the answer to a ping is {read:?}"))
        }
        Some(FromServer::Event { path, .. }) => {
            let fits = path.len() <= 3 * data.len();
            holds(int_at(data, 0) == Some(-1) && fits, || format!("{data:?} is {parsed:?}"))
        }
    }
}
