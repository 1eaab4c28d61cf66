//! The examples at the end of each command's help.

pub(super) const RUN: &str = "\
Examples:
  fairlock run /jobs/backup -- ./backup.sh --all      wait for the lock, run, release
  fairlock run -n /jobs/backup -- ./backup.sh         give up at once if it is held (code 1)
  fairlock run -w 30s -E 9 /jobs/log -c 'make | tee l'  a shell; 30 s at most; another code
  fairlock run --shared /db/schema -- ./export        together with other readers
  fairlock run --permits 3 /api/quota -- ./crawl      three at a time
  fairlock run --max-hold 10m /jobs/tidy -- ./tidy    end it after ten minutes
";

pub(super) const ELECT: &str = "\
Examples:
  fairlock elect /services/scheduler -- ./scheduler                one active instance, others ready
  fairlock elect --payload http://$HOST:80 /services/api -- ./api  tell others where the leader is
  fairlock elect --listen --json /services/api                     who leads, as it changes
";

pub(super) const CONFIG: &str = "\
Example of a configuration file:
  default-profile = \"production\"

  [profiles.production]
  servers = [\"zk1:2181\", \"zk2:2181\", \"zk3:2181\"]
  chroot = \"/app\"                    # must exist
  session-timeout = 10               # seconds, or \"10s\"
  connect-timeout = \"5s\"
  identity = \"billing\"
  access = \"creator-only\"            # or everyone, creator-else-read
  auth = [{ file = \"/etc/fairlock/secret\" }]   # lines such as: digest user:password
  # or: auth = [{ scheme = \"digest\", secret-env = \"ZK_SECRET\" }]
  tls = { ca = \"ca.pem\", certificate = \"me.pem\", key = \"me.key\" }   # the last two if asked for
";

pub(super) const COMPLETIONS: &str = "\
Examples:
  fairlock completions bash > /etc/bash_completion.d/fairlock
  fairlock completions zsh > ~/.zfunc/_fairlock
  fairlock completions fish > ~/.config/fish/completions/fairlock.fish
";

pub(super) const MAN: &str = "\
Examples:
  fairlock man | man -l -
  fairlock man run | man -l -
  fairlock man --folder /usr/local/share/man/man1
";

pub(super) const DEMO: &str = "\
Examples:
  fairlock demo                                 in this process, nothing else needed
  fairlock demo --contenders 12 --speed 2       more of them, twice as quick
  fairlock demo --connect zk1:2181,zk2:2181     on a real ensemble
  fairlock demo --plain | tee demo.log          one line per event
";

pub(super) const DOCTOR: &str = "\
Examples:
  fairlock doctor -S zk1:2181,zk2:2181,zk3:2181    is all well?
  fairlock doctor --root /jobs                     with the permissions and quotas there
  fairlock doctor --json | jq '.findings[] | select(.verdict == \"problem\")'
";

pub(super) const BENCH: &str = "\
Examples:
  fairlock bench --embedded                                      without servers, to see what it is like
  fairlock bench -S zk1:2181,zk2:2181 --chart latency.svg        ten seconds, four contenders, and a picture
  fairlock bench --clients 20 --contenders 20 --duration 1m      twenty sessions that want one lock
  fairlock bench --locks 50 --contenders 2 --hold 5ms --json     many locks, each held for five milliseconds
";

pub(super) const LS: &str = "\
Examples:
  fairlock ls                                   everything below the root
  fairlock ls /jobs --all                       also what nobody uses now
  fairlock ls --watch                           for a screen on the wall
  fairlock ls --json | jq '.locks[] | select(.waiting > 10) | .path'
";

pub(super) const QUEUE: &str = "\
Examples:
  fairlock queue /jobs/backup                   who holds it, who waits, since when
  fairlock queue --watch --interval 200ms /jobs/backup
  fairlock queue --json /jobs/backup | jq '.locks[].contenders[0].identity'
  fairlock queue --watch --json /jobs/backup    one line for each change
";

pub(super) const REVOKE: &str = "\
Examples:
  fairlock revoke /jobs/backup --reason 'disk is full'
  fairlock revoke --wait=30s /jobs/backup && ./deploy   once it is held no more
  fairlock revoke --wait /services/api                  until then
";

pub(super) const BREAK: &str = "\
Examples:
  fairlock queue /jobs/backup                           shows positions and nodes
  fairlock break /jobs/backup lock-0000000012           asks before it does it
  fairlock break --yes /jobs/backup lock-0000000012     for scripts: by node, since positions move
";
