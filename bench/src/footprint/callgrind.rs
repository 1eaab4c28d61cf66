//! Reads what callgrind has written with the callers of each function, and says whose instructions they are.
//!
//! A line of code belongs to the crate of the file in which it was written, wherever it was inlined: what a runtime polls is
//! not the runtime's. A line of the standard library belongs to the crate of the function that it is in or, where that is the
//! standard library's too, of the nearest caller. So does the work of the allocator and of the C library, which is told apart.

use std::collections::BTreeMap;

/// What is neither a crate's nor done on behalf of one.
const REST: &str = "nobody";

/// What asks for the work.
const BENCHMARK: &str = "benchmark";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Code,
    Allocator,
    /// Of the C library: copying, clocks, system calls.
    Libc,
}

/// Instructions of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    /// Whose they are, or on whose behalf.
    pub(crate) owner: String,
    pub(crate) kind: Kind,
    pub(crate) function: String,
}

/// Instructions by where they are.
pub(crate) fn read(profile: &str) -> BTreeMap<Spot, i64> {
    let mut spots = BTreeMap::new();
    let (mut stack, mut file): (Vec<&str>, &str) = (Vec::new(), "");
    let mut is_of_call = false;
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = value,
                "fn" => stack = frames(value),
                // The next line is what the function that is called costs, which has lines of its own.
                "calls" => is_of_call = true,
                _ => {}
            }
            continue;
        }
        let mut numbers = line.split_whitespace();
        let (Some(at), Some(cost)) = (numbers.next(), numbers.next().and_then(|cost| cost.parse::<i64>().ok())) else {
            continue;
        };
        if at.parse::<i64>().is_err() || stack.is_empty() || std::mem::take(&mut is_of_call) {
            continue;
        }
        *spots.entry(spot(&stack, file)).or_default() += cost;
    }
    spots
}

/// A function and its callers. A number is how deep it has called itself.
fn frames(name: &str) -> Vec<&str> {
    name.split('\'').filter(|part| !part.is_empty() && part.parse::<u32>().is_err()).collect()
}

fn spot(stack: &[&str], file: &str) -> Spot {
    let function = stack[0];
    let kind = kind(function);
    let of_file = if kind == Kind::Code { crate_of_file(file) } else { None };
    let owner = of_file.or_else(|| stack.iter().find_map(|function| crate_of_function(function)));
    // A package has hyphens where its crate has none.
    Spot { owner: owner.unwrap_or(REST).replace('_', "-"), kind, function: function.to_owned() }
}

fn kind(function: &str) -> Kind {
    const ALLOCATES: [&str; 10] =
        ["alloc", "free", "_int_", "unlink_chunk", "tcache_", "memalign", "__rust_", "__rdl_", "systrim", "heap_trim"];
    // Functions of crates have a path, and types. So has what the compiler puts before the allocator.
    if function.starts_with("__rustc::") {
        Kind::Allocator
    } else if function.contains("::") || function.starts_with('<') {
        Kind::Code
    } else if ALLOCATES.iter().any(|part| function.contains(part)) {
        Kind::Allocator
    } else {
        Kind::Libc
    }
}

/// Of a registry's folder the crate's name, without its version.
fn crate_of_file(file: &str) -> Option<&str> {
    if let Some((_, below)) = file.split_once("/registry/src/") {
        let folder = below.split('/').nth(1)?;
        let (name, _) = folder.rsplit_once('-').unwrap_or((folder, ""));
        // The standard library's maps.
        return (name != "hashbrown").then_some(name);
    }
    // The standard library's files have paths that exist nowhere; those of the C library have none.
    if !file.starts_with('/') || file.contains("/rustc/") || file.contains("/library/") {
        None
    } else if file.contains("/bench/src/") {
        Some(BENCHMARK)
    } else {
        file.contains("/src/").then_some("fairlock")
    }
}

/// The first crate in a function's name that is not of the standard library: of `<A as B>::c` and `drop_in_place<A>` that of A.
fn crate_of_function(function: &str) -> Option<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut rest = function;
    while let Some(at) = rest.find("::") {
        let before = &rest[..at];
        let from = before.rfind(|letter| !is_part(letter)).map_or(0, |end| end + 1);
        let name = &before[from..];
        let is_first = !before[..from].ends_with("::");
        if is_first && !name.is_empty() && !["__rustc", "alloc", "core", "hashbrown", "std"].contains(&name) {
            return Some(if name == "benchmarks" { BENCHMARK } else { name });
        }
        // On to the next path of the name.
        let after = &rest[at + 2..];
        let end = after.find(|letter: char| !is_part(letter) && letter != ':').unwrap_or(after.len());
        rest = &after[end..];
    }
    None
}

/// Of each time that the same was done.
pub(crate) fn each(spots: &BTreeMap<Spot, i64>, times: usize) -> BTreeMap<Spot, f64> {
    spots.iter().map(|(spot, cost)| (spot.clone(), *cost as f64 / times.max(1) as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "fairlock::driver::start'tokio::park'main";

    #[test]
    fn a_call_is_not_counted_twice() {
        let profile = format!(
            "fl=/a/fairlock/src/driver/mod.rs\nfn={CALLER}\n16 400\ncfn=malloc'{CALLER}\ncalls=1 50\n16 90\n17 3\n"
        );
        let spots = read(&profile);
        assert_eq!(spots.values().sum::<i64>(), 403);
        let spot = spots.keys().next().expect("a spot");
        assert_eq!((&*spot.owner, spot.kind), ("fairlock", Kind::Code));
    }

    #[test]
    fn memory_is_allocated_on_behalf_of_a_caller() {
        let spots = read("fl=./malloc/malloc.c\nfn=malloc'alloc::raw_vec::finish_grow'zookeeper_client::a'main\n1 7\n");
        let spot = spots.keys().next().expect("a spot");
        assert_eq!((&*spot.owner, spot.kind), ("zookeeper-client", Kind::Allocator));
    }

    #[test]
    fn inlined_code_belongs_to_where_it_was_written() {
        let file = "/a/registry/src/index-1/tokio-1.47.0/src/task.rs";
        let spots = read(&format!(
            "fl=/a/fairlock/src/driver/mod.rs\nfn={CALLER}\n1 5\nfi={file}\n2 6\nfe=/rustc/1/library/core/src/mem.rs\n3 7\n"
        ));
        let of = |owner: &str| spots.iter().filter(|(spot, _)| spot.owner == owner).map(|(_, cost)| cost).sum::<i64>();
        assert_eq!((of("tokio"), of("fairlock")), (6, 12));
    }

    #[test]
    fn a_name_tells_the_crate_of_its_type() {
        assert_eq!(crate_of_function("<fairlock::clock::HostClock as core::any::Any>::now"), Some("fairlock"));
        assert_eq!(crate_of_function("core::ptr::drop_in_place<zookeeper_client::Error>"), Some("zookeeper_client"));
        assert_eq!(crate_of_function("<&str as core::str::Pattern>::find"), None);
        assert_eq!(crate_of_function("malloc"), None);
        assert_eq!(frames("a::b'2'c::d"), ["a::b", "c::d"]);
    }

    #[test]
    fn a_function_without_a_path_is_of_the_c_library() {
        let kinds =
            ["alloc_perturb", "__rustc::__rdl_alloc", "__memcpy_avx_unaligned_erms", "<&T as A>::fmt"].map(kind);
        assert_eq!(kinds, [Kind::Allocator, Kind::Allocator, Kind::Libc, Kind::Code]);
        assert_eq!(crate_of_function("__rustc::__rdl_alloc"), None);
    }

    #[test]
    fn what_was_done_ten_times_is_divided_by_ten() {
        let spots = read(&format!("fl=/a/fairlock/src/driver/mod.rs\nfn={CALLER}\n1 300\n"));
        assert_eq!(each(&spots, 10).values().copied().collect::<Vec<_>>(), [30.0]);
    }
}
