//! Flags, environment and configuration file; completions and man pages. Nothing here needs a server.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fairlock");

/// A folder that is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fairlock-settings-{}-{number}", std::process::id()));
        fs::create_dir_all(path.join("fairlock")).expect("a writable folder");
        Self(path)
    }

    /// With the configuration file in its usual place.
    fn with_file(text: &str) -> Self {
        let folder = Self::new();
        fs::write(folder.0.join("fairlock/config.toml"), text).expect("a writable folder");
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program in an environment without settings but for those of the folder.
fn program(folder: &Folder) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FAIRLOCK")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("XDG_CONFIG_HOME", &folder.0);
    command
}

fn fairlock(folder: &Folder, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = program(folder);
    command.args(args).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("the program can be run");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("not killed"), text(stdout), text(stderr))
}

const FILE: &str = "\
default-profile = 'here'
[profiles.here]
servers = ['h1:2181', 'h2:2181']
chroot = '/app'
session-timeout = '20s'
identity = 'billing'
auth = [{ scheme = 'digest', secret = 'user:s3cret' }]
[profiles.there]
servers = 'there:2181'
";

/// The row of a setting: value and origin.
#[track_caller]
fn row(printed: &str, name: &str) -> (String, String) {
    let row =
        printed.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}:\n{printed}"));
    let cells: Vec<_> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    (cells[0].to_owned(), cells[1].to_owned())
}

#[test]
fn what_holds_is_printed_with_its_origin() {
    let folder = Folder::with_file(FILE);
    let variables = [("FAIRLOCK_CONNECT_TIMEOUT", "3"), ("FAIRLOCK_CHROOT", "/other")];
    let (code, printed, told) = fairlock(&folder, &["config", "--session-timeout", "4"], &variables);
    assert_eq!((code, told.as_str()), (0, ""));
    let is = |name, value: &str, origin: &str| assert_eq!(row(&printed, name), (value.into(), origin.into()));
    is("profile", "here", "default");
    is("servers", "h1:2181,h2:2181", "profile here");
    is("chroot", "/other", "FAIRLOCK_CHROOT");
    is("session-timeout", "4s", "--session-timeout");
    is("connect-timeout", "3s", "FAIRLOCK_CONNECT_TIMEOUT");
    is("identity", "billing", "profile here");
    is("access", "everyone", "default");
    is("auth", "digest (secret not shown)", "profile here");
    assert!(printed.contains("configuration file: ") && printed.contains("config.toml"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");

    let (_, printed, _) = fairlock(&folder, &["config", "-p", "there"], &[("FAIRLOCK_PROFILE", "here")]);
    assert_eq!(row(&printed, "profile"), ("there".into(), "--profile".into()));
    assert_eq!(row(&printed, "servers"), ("there:2181".into(), "profile there".into()));
    assert_eq!(row(&printed, "auth"), ("-".into(), "not set".into()), "secrets of another profile do not count");
}

#[test]
fn the_same_as_json() {
    let folder = Folder::with_file(FILE);
    let (code, printed, _) = fairlock(&folder, &["config", "--json"], &[]);
    assert_eq!(code, 0);
    let document: serde_json::Value = serde_json::from_str(&printed).expect("one object");
    let settings = document["settings"].as_array().expect("a list");
    let servers = settings.iter().find(|setting| setting["name"] == "servers").expect("servers");
    assert_eq!(servers["value"], "h1:2181,h2:2181");
    assert_eq!(servers["origin"], "profile here");
    assert!(document["file"].as_str().expect("a path").ends_with("config.toml"));
    assert!(!printed.contains("s3cret"), "{printed}");
}

#[test]
fn a_secret_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::with_file("");
    let secret = folder.path("secret");
    fs::write(&secret, "# for the ensemble\ndigest user:s3cret\n").expect("a writable folder");
    let warned = |mode| {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("permissions");
        let (code, printed, _) = fairlock(&folder, &["config", "--auth-file", &secret], &[]);
        assert_eq!(code, 0);
        assert_eq!(row(&printed, "auth"), ("digest (secret not shown)".into(), "--auth-file".into()));
        assert!(!printed.contains("s3cret"), "{printed}");
        printed.contains("warning: others can read")
    };
    assert!(warned(0o644));
    assert!(!warned(0o600));
}

#[test]
fn mistakes_are_told_with_their_place_and_without_secrets() {
    let cases = [
        ("default-profile = 'x'\n[profiles.a]\n", "config.toml: there is no profile \"x\", but a"),
        ("[profiles.a]\nserver = 'x'\n", "config.toml: line 2: unknown field `server`"),
        ("[profiles.a]\nauth = [{ secret = 's3cret' ]\n", "config.toml: line 2"),
        ("[profiles.a]\nauth = ['digest user:s3cret']\n", "config.toml: line 2: expected"),
        (
            "default-profile = 'a'\n[profiles.a]\nsession-timeout = 'soon'\n",
            "session-timeout from profile a is \"soon\"",
        ),
        ("default-profile = 'a'\n[profiles.a]\naccess = 'all'\n", "access from profile a is \"all\""),
        ("default-profile = 'a'\n[profiles.a]\nauth = [{ secret = 's3cret' }]\n", "profile a: each of auth"),
    ];
    for (text, words) in cases {
        let (code, printed, told) = fairlock(&Folder::with_file(text), &["config"], &[]);
        assert_eq!((code, printed.as_str()), (78, ""), "{text}");
        assert!(told.contains(words) && !told.contains("s3cret"), "{text}: {told}");
    }
    let folder = Folder::new();
    for (args, variables, words) in [
        (&["config", "--config-file", "/no/such/file"][..], &[][..], "/no/such/file"),
        (&["config"], &[("FAIRLOCK_CONFIG", "/no/such/file")], "/no/such/file"),
        (&["config", "-p", "x"], &[], "there is no profile \"x\""),
        (&["config"], &[("FAIRLOCK_AUTH", "s3cret")], "FAIRLOCK_AUTH: credentials are"),
    ] {
        let (code, _, told) = fairlock(&folder, args, variables);
        assert_eq!(code, 78, "{told}");
        assert!(told.contains(words) && !told.contains("s3cret"), "{told}");
    }
    let (code, _, told) = fairlock(&folder, &["config", "--session-timeout", "soon"], &[]);
    assert!(code == 64 && told.contains("give seconds"), "{told}");
}

#[test]
fn a_variable_that_is_no_text_is_not_taken_for_one_that_is_not_set() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut command = program(&Folder::new());
    command.arg("config").env("FAIRLOCK_AUTH", std::ffi::OsStr::from_bytes(b"digest user:s3cret\xff"));
    let output = command.output().expect("the program can be run");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains("FAIRLOCK_AUTH is not UTF-8") && !told.contains("s3cret"), "{told}");
}

#[test]
fn paths_of_the_file_are_beside_it() {
    let folder = Folder::with_file("default-profile = 'a'\n[profiles.a]\nauth = [{ file = 'secret' }]\n");
    fs::write(folder.path("fairlock/secret"), "digest user:s3cret\n").expect("a writable folder");
    let (code, printed, told) = fairlock(&folder, &["config"], &[]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(row(&printed, "auth"), ("digest (secret not shown)".into(), "profile a".into()));
}

#[test]
fn what_a_profile_says_wrongly_is_no_mistake_of_the_arguments() {
    let run = ["run", "/a", "--", "true"];
    for (text, words) in [
        ("servers = 'a:1,,b:2'", "malformed"),
        ("servers = 'a:1/x'\nchroot = '/x'", "twice"),
        ("servers = 'a:1'\nidentity = ''", "the owner"),
    ] {
        let folder = Folder::with_file(&format!("default-profile = 'a'\n[profiles.a]\n{text}\n"));
        let (code, _, told) = fairlock(&folder, &run, &[]);
        assert!(code == 78 && told.contains(words), "{text}: {code} {told}");
    }
    let (code, _, told) = fairlock(&Folder::new(), &["run", "-S", "a:1,,b:2", "/a", "--", "true"], &[]);
    assert!(code == 64 && told.contains("malformed"), "{told}");
}

/// All commands, as the help lists them.
fn commands() -> Vec<String> {
    let (code, help, _) = fairlock(&Folder::new(), &["--help"], &[]);
    assert_eq!(code, 0);
    let lines = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let names = lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_short_help_and_a_long_one_with_examples_and_exit_codes() {
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in &commands {
        let (code, short, _) = fairlock(&Folder::new(), &[command, "-h"], &[]);
        let (code_long, long, _) = fairlock(&Folder::new(), &[command, "--help"], &[]);
        assert_eq!((code, code_long), (0, 0), "{command}");
        for help in [&short, &long] {
            assert!(help.contains("Usage:") && help.contains("Example"), "{command}: {help}");
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{command}: {help}");
        }
        assert!(!short.contains("Exit codes:") && long.contains("Exit codes:"), "{command}");
        assert!(long.len() > short.len(), "{command}");
    }
}

#[test]
fn the_page_about_the_command_has_the_same_exit_codes() {
    let (_, help, _) = fairlock(&Folder::new(), &["run", "--help"], &[]);
    let page = include_str!("../../docs/CLI.md");
    let table = help.split_once("Exit codes:\n").expect("a table").1;
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        // What is too long for a line goes on in the next.
        match line.trim_start().split_once("  ").filter(|(code, _)| code.parse::<u8>().is_ok()) {
            Some((code, meaning)) => rows.push(format!("| {code} | {meaning}")),
            None => rows.last_mut().expect("a code").extend([" ", line.trim()]),
        }
    }
    assert!(rows.len() > 10, "{table}");
    for row in rows {
        assert!(page.contains(&format!("{row} |\n")), "{row}");
    }
}

#[test]
fn no_help_hints_at_what_is_not_for_people() {
    let (_, help, _) = fairlock(&Folder::new(), &["--help"], &[]);
    assert!(!help.contains("__"), "{help}");
}

#[test]
fn completions_know_the_commands_and_options_and_their_shells_accept_them() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, _) = fairlock(&folder, &["completions", shell], &[]);
        assert_eq!(code, 0);
        for word in ["run", "elect", "config", "max-hold", "session-timeout"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let (_, script, _) = fairlock(&folder, &["completions", "bash"], &[]);
    let path = folder.path("completions.bash");
    fs::write(&path, script).expect("a writable folder");
    let check = "source \"$1\"; COMP_WORDS=(fairlock el); COMP_CWORD=1; _fairlock fairlock el fairlock; echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").args(["-c", check, "bash", &path]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "elect\n", "{completed:?}");
}

#[test]
fn there_is_a_man_page_for_each_command() {
    let folder = Folder::new();
    let pages = folder.path("man");
    let (code, printed, _) = fairlock(&folder, &["man", "--folder", &pages], &[]);
    assert_eq!((code, printed.as_str()), (0, ""));
    for command in commands() {
        let page = fs::read_to_string(format!("{pages}/fairlock-{command}.1")).expect(&command);
        assert!(page.contains(".TH") && page.contains("Exit codes"), "{command}");
        let (_, printed, _) = fairlock(&folder, &["man", &command], &[]);
        assert_eq!(printed, page, "{command}");
    }
    let main = fs::read_to_string(format!("{pages}/fairlock.1")).expect("the main page");
    assert!(main.contains("fairlock\\-run(1)"), "{main}");
    let (code, _, told) = fairlock(&folder, &["man", "nothing"], &[]);
    assert!(code == 64 && told.contains("nothing"), "{told}");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    for args in [&["completions", "bash"][..], &["man", "run"], &["config"], &["--help"]] {
        let mut child = program(&Folder::new())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

/// What any user of the machine sees of a process.
#[test]
#[cfg(target_os = "linux")]
fn no_secret_is_among_the_arguments_of_any_process() {
    // Somebody who listens and does not answer, so that the program stays.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let folder = Folder::new();
    let secret = folder.path("secret");
    fs::write(&secret, "digest user:s3cret\n").expect("a writable folder");
    let mut child = program(&folder)
        .args(["run", "-S", &address, "--auth-file", &secret, "/a", "--", "true"])
        .spawn()
        .expect("the program can be run");
    let (_stream, _) = listener.accept().expect("it connects");
    let id = child.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("the system tells");
    let mut seen = 0;
    let all = children.split_whitespace().map(str::to_owned).chain([id.to_string()]);
    for process in all {
        // Empty while the process takes on its program.
        let begin = std::time::Instant::now();
        let words = loop {
            let words = fs::read(format!("/proc/{process}/cmdline")).expect("it runs");
            if !words.is_empty() {
                break words;
            }
            assert!(begin.elapsed() < std::time::Duration::from_secs(30), "process {process} never has any");
        };
        let words = String::from_utf8_lossy(&words);
        assert!(!words.contains("s3cret"), "{words}");
        seen += 1;
    }
    assert_eq!(seen, 2, "the program and its watchdog");
    child.kill().expect("it runs");
    child.wait().expect("a child");
}
