//! Addresses where there is no ZooKeeper server, and lists that are none.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::bed::{Outcome, doctor, program, server};

#[test]
fn nobody_there_has_a_code_of_its_own() -> Outcome {
    let report = doctor(&["-S", "127.0.0.1:1"])?;
    assert_eq!((report.code, report.problems()), (69, vec!["server.contact"]));
    report.expect_about(Some("127.0.0.1:1"), "server.contact", "problem", "nobody listens there");
    Ok(())
}

#[test]
fn a_server_that_never_answers_is_waited_for_no_longer_than_said() -> Outcome {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let address = silent.local_addr()?.to_string();
    let started = Instant::now();
    let report = doctor(&["-S", &address, "--connect-timeout", "0.5"])?;
    assert_eq!((report.code, report.problems()), (69, vec!["server.contact"]), "{}", report.document);
    report.expect_about(Some(&address), "server.contact", "problem", "says nothing");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn something_else_at_the_address_is_told_by_its_words() -> Outcome {
    let web = TcpListener::bind("127.0.0.1:0")?;
    let address = web.local_addr()?.to_string();
    std::thread::spawn(move || {
        for mut stream in web.incoming().flatten() {
            let mut word = [0; 4];
            let _ = stream.read_exact(&mut word);
            let _ = stream.write_all(b"HTTP/1.1 400 \x1b[31mBad Request\r\n");
        }
    });
    let report = doctor(&["-S", &address, "--connect-timeout", "5"])?;
    assert_eq!((report.code, report.problems()), (69, vec!["server.contact"]), "{}", report.document);
    report.expect_about(Some(&address), "server.contact", "problem", "is no ZooKeeper server; it says \"HTTP/1.1 400");
    let output = program(&["-S", &address], None).output()?;
    assert!(!output.stdout.contains(&0x1b), "what others say must not reach a terminal as it is");
    Ok(())
}

#[test]
fn a_server_that_talks_nonsense_is_survived() -> Outcome {
    let frames: [&[u8]; 6] = [
        b"",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff....",
        b"\0\0\0\x04....",
        // A session that lasts for no time, with a password of negative length.
        b"\0\0\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xff",
        // One of 256 milliseconds, in which another request is answered.
        b"\0\0\0\x14\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x10................",
    ];
    for frame in frames {
        let liar = TcpListener::bind("127.0.0.1:0")?;
        let address = liar.local_addr()?.to_string();
        std::thread::spawn(move || {
            for mut stream in liar.incoming().flatten() {
                let mut word = [0; 4];
                let _ = stream.read_exact(&mut word);
                let _ = match &word {
                    b"srvr" => stream.write_all(
                        b"Zookeeper version: \x1b[31m\xff, x\nMode: \x1b\nOutstanding: 99999999999999999999\n",
                    ),
                    b"conf" => stream.write_all(b"tickTime=99999999999999999999\nmaxClientCnxns=\n"),
                    _ => stream.write_all(frame),
                };
            }
        });
        let args = ["-S", &address, "--connect-timeout", "2"];
        let report = doctor(&args)?;
        assert_eq!(report.code, 1, "{frame:?}: {}", report.document);
        report.expect_about(Some(&address), "server.session", "problem", "opens no session");
        report.expect_about(Some(&address), "server.version", "unknown", "");
        let output = program(&args, None).output()?;
        assert!(!output.stdout.contains(&0x1b), "what others say must not reach a terminal as it is");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_good_server_among_bad_ones_is_enough_to_look_further() -> Outcome {
    let good = server().await.address();
    let report = doctor(&["-S", &format!("{good},127.0.0.1:1,no-such-host.invalid:2181"), "--connect-timeout", "5"])?;
    assert_eq!((report.code, report.problems()), (1, vec!["server.contact"; 2]), "{}", report.document);
    report.expect_about(Some("no-such-host.invalid:2181"), "server.contact", "problem", "name is unknown");
    report.expect("root.permissions", "ok", "");
    Ok(())
}

#[test]
fn what_is_no_list_of_servers_is_a_usage_error() -> Outcome {
    for (args, told) in [
        (&["-S", "a b:1"][..], "white space"),
        (&["-S", "zk1:x"], "port"),
        (&["-S", "http://a:1"], "scheme"),
        (&["-S", "a:1", "--root", "jobs"], "start it with /"),
        (&["-S", "a:1", "--access", "creator-only"], "credentials"),
        (&[], "which servers?"),
    ] {
        let output = program(args, None).output()?;
        let errors = String::from_utf8(output.stderr)?;
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(64), &b""[..]), "{args:?}: {errors}");
        assert!(errors.contains(told), "{args:?}: {errors}");
    }
    Ok(())
}
