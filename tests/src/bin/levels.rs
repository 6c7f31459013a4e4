//! Finds the test levels that can run here. Prints a nextest filter to stdout, and each skipped level with
//! its reason to stderr. With `SLIPWAY_REQUIRE_ALL=1` a level that cannot run is an error.

use std::process::ExitCode;

use e2e::Level;

fn main() -> ExitCode {
    let mut filter = String::from("all()");
    let mut skipped = 0;
    for level in Level::ALL {
        if let Some(why) = level.obstacle() {
            eprintln!("skipped: level {}: {why}", level.name());
            filter.push_str(&format!(" - (package(e2e) & binary({}))", level.name()));
            skipped += 1;
        }
    }
    if skipped > 0 && std::env::var("SLIPWAY_REQUIRE_ALL").as_deref() == Ok("1") {
        eprintln!("SLIPWAY_REQUIRE_ALL=1: a level that cannot run is an error");
        return ExitCode::FAILURE;
    }
    println!("{filter}");
    ExitCode::SUCCESS
}
