//! Encrypted connections: to a real server, behind something that decrypts.

#![cfg(feature = "tls")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fairlock_testcontainers::Server;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A folder for PEM files, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fairlock-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a writable folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a writable folder");
        path.to_str().expect("a text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A certificate for this name, and its key.
fn signed(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    (params.signed_by(&key, authority).expect("a certificate"), key)
}

/// Decrypts what comes, and passes it on to the server; the address where it does that.
async fn decrypt(server: &Server, authority: &Authority, asks_for_certificate: bool) -> String {
    let (certificate, key) = signed(authority, "localhost");
    let builder = ServerConfig::builder();
    let builder = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a certificate");
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().expect("roots"))
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate with its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("localhost:{}", listener.local_addr().expect("an address").port());
    let server = server.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // Who does not pass the handshake gets nothing.
                let mut encrypted = acceptor.accept(stream).await.ok()?;
                let mut plain = TcpStream::connect(server).await.ok()?;
                copy_bidirectional(&mut encrypted, &mut plain).await.ok()
            });
        }
    });
    address
}

/// Runs `fairlock run` while the runtime goes on, and tells its code and what it said.
async fn run(args: Vec<String>) -> (Option<i32>, String) {
    let words = ["run", "--connect-timeout", "1.5", "/tls"].map(str::to_owned).into_iter();
    let output = program(words.chain(args).chain(["--", "true"].map(str::to_owned)).collect()).await;
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn program(args: Vec<String>) -> Output {
    let output = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_fairlock"))
            .args(args)
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env_remove("FAIRLOCK_SERVERS")
            .stdin(Stdio::null())
            .output()
    });
    output.await.expect("no panic").expect("the program can be run")
}

/// Runs `fairlock doctor`; its code, and what it found of each check, with the verdict in front.
async fn doctor(args: &[&str]) -> (Option<i32>, impl Fn(&str) -> String + use<>) {
    let words = [&["doctor", "--json"], args].concat();
    let output = program(words.iter().map(|word| (*word).to_owned()).collect()).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let found = move |check: &str| {
        let findings = document["findings"].as_array().into_iter().flatten();
        let found = findings.filter(|finding| finding["check"] == check).map(|finding| {
            let text = |field: &str| finding[field].as_str().unwrap_or_default();
            format!("{}: {} > {}", text("verdict"), text("found"), text("advice"))
        });
        found.collect::<Vec<_>>().join("\n") + &told
    };
    (output.status.code(), found)
}

fn args(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_taken_over_an_encrypted_connection() {
    let server = Server::builder().tick_time(Duration::from_millis(200)).start().await.expect("a server");
    let (known, unknown) = (authority(), authority());
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &known.pem());
    let other_ca = folder.write("other.pem", &unknown.pem());
    let address = decrypt(&server, &known, false).await;

    let (code, told) = run(args(&["-S", &address, "--tls-ca", &ca])).await;
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let marked = format!("tcp+tls://{address}");
    assert_eq!(run(args(&["-S", &marked, "--tls-ca", &ca])).await.0, Some(0));

    let (code, told) = run(args(&["-S", &address, "--tls-ca", &other_ca])).await;
    assert!(code == Some(69) && told.contains("from a known authority"), "{code:?} {told}");
    // The certificate is for the name.
    let by_number = address.replace("localhost", "127.0.0.1");
    let (code, told) = run(args(&["-S", &by_number, "--tls-ca", &ca])).await;
    assert!(code == Some(69) && told.contains("for this name"), "{code:?} {told}");
    let (code, told) = run(args(&["-S", &server.address(), "--tls-ca", &ca])).await;
    assert!(code == Some(69) && told.contains("without TLS"), "{code:?} {told}");
    let (code, told) = run(args(&["-S", &address])).await;
    assert!(code == Some(69), "{code:?} {told}");
    // A server that is marked as plain stays so.
    let plain = format!("tcp://{}", server.address());
    assert_eq!(run(args(&["-S", &plain, "--tls-ca", &ca])).await.0, Some(0));
    let (code, told) = run(args(&["-S", &marked])).await;
    assert!(code == Some(64) && told.contains("which certificates to believe"), "{code:?} {told}");

    let strict = decrypt(&server, &known, true).await;
    let (certificate, key) = signed(&known, "client");
    let (mine, my_key) = (folder.write("me.pem", &certificate.pem()), folder.write("me.key", &key.serialize_pem()));
    let identity = ["-S", &strict, "--tls-ca", &ca, "--tls-certificate", &mine, "--tls-key", &my_key];
    let (code, told) = run(args(&identity)).await;
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let (code, told) = run(args(&identity[..4])).await;
    assert!(code == Some(69) && told.contains("does it accept this client's"), "{code:?} {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_server_is_told_over_an_encrypted_connection_as_well() {
    let server = Server::builder().max_session_timeout(Duration::from_secs(10)).start().await.expect("a server");
    let (known, unknown) = (authority(), authority());
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &known.pem());
    let other_ca = folder.write("other.pem", &unknown.pem());
    let address = decrypt(&server, &known, false).await;

    let (code, found) = doctor(&["-S", &address, "--tls-ca", &ca]).await;
    assert_eq!(code, Some(0), "{}", found("session.open"));
    for (check, told) in [
        ("server.contact", "ok: reachable"),
        ("server.session", "ok: grants 10 s as a session timeout, and at most 10 s"),
        ("root.permissions", "ok: "),
    ] {
        assert!(found(check).starts_with(told), "{check}: {}", found(check));
    }

    // Two ways to the same server, one of them encrypted.
    let both = format!("tcp+tls://{address},tcp://{}", server.address());
    let (code, found) = doctor(&["-S", &both, "--tls-ca", &ca, "--session-timeout", "8"]).await;
    assert!(found("ensemble.timeouts").starts_with("ok: all 2 servers grant 8 s"), "{}", found("ensemble.timeouts"));
    assert_eq!(code, Some(0), "{}", found("ensemble.unity"));

    let plain = server.address();
    for (address, ca, told) in [
        (address.as_str(), &other_ca, "problem: gives no session over TLS (it ended the connection)"),
        (plain.as_str(), &ca, "problem: gives no session over TLS (it is a ZooKeeper server without TLS)"),
        ("localhost:1", &ca, "problem: nobody listens there"),
        ("no-such-host.invalid:2181", &ca, "problem: the host's name is unknown"),
    ] {
        let (code, found) = doctor(&["-S", address, "--tls-ca", ca]).await;
        assert!(found("server.contact").starts_with(told), "{address}: {}", found("server.contact"));
        assert_eq!(code, Some(69), "{address}");
    }

    let (code, found) = doctor(&["-S", &address]).await;
    assert!(code == Some(69) && found("server.contact").contains("(--tls-ca)"), "{}", found("server.contact"));
    let (code, found) = doctor(&["-S", &format!("tcp+tls://{address}")]).await;
    assert!(code == Some(64) && found("").contains("which certificates to believe"), "{code:?} {}", found(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_an_encrypted_connection_credentials_count_as_well() {
    let server = Server::builder().property("enforce.auth.enabled", "true").property("enforce.auth.schemes", "digest");
    let server = server.start().await.expect("a server");
    let (known, folder) = (authority(), Folder::new());
    let ca = folder.write("ca.pem", &known.pem());
    let secret = folder.write("secret", "digest alice:s3cret");
    let address = decrypt(&server, &known, false).await;
    let (code, found) = doctor(&["-S", &address, "--tls-ca", &ca, "--auth-file", &secret]).await;
    assert!(code == Some(0) && found("root.permissions").starts_with("ok: "), "{}", found("server.session"));
    let (code, found) = doctor(&["-S", &address, "--tls-ca", &ca]).await;
    let session = found("server.session");
    assert!(code == Some(1) && session.contains("refuses these credentials, or that there are none"), "{session}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_certificates_are_told() {
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &authority().pem());
    let nonsense = folder.write("nonsense.pem", "nonsense");
    for (words, told_of) in [
        (vec!["--tls-ca", "/no/such/file"], "cannot read /no/such/file"),
        (vec!["--tls-ca", &nonsense], "nonsense.pem: invalid configuration: the certificates of authorities"),
        (vec!["--tls-ca", &ca, "--tls-certificate", &ca], "needs its key"),
        (vec!["--tls-ca", &ca, "--tls-key", &ca], "a key its certificate"),
        (vec!["--tls-certificate", &ca, "--tls-key", &ca], "no authorities to believe"),
        (vec!["--tls-ca", &ca, "--tls-certificate", &ca, "--tls-key", &nonsense], "the certificate or its key"),
    ] {
        let (code, told) = run(args(&[&["-S", "localhost:1"], &words[..]].concat())).await;
        assert!(code == Some(78) && told.contains(told_of), "{words:?}: {code:?} {told}");
    }
}
