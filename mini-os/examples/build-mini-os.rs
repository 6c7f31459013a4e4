//! `cargo run -p mini-os --example build-mini-os -- VARIANT AGENT OUT CACHE`: makes a mini-os, for scripts.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [variant, agent, out, cache] = &arguments[..] else {
        eprintln!("usage: build full|small AGENT OUT CACHE");
        return ExitCode::from(2);
    };
    let made = variant.parse().and_then(|variant| {
        let request = mini_os::Request {
            arch: mini_os::Arch::Amd64,
            variant,
            agent: agent.into(),
            out: out.into(),
            cache: cache.into(),
        };
        mini_os::build(&request).map_err(|e| e.to_string())
    });
    match made {
        Ok(m) => {
            println!(
                "{out}: kernel {} {} bytes, initramfs {} bytes ({} unpacked), {} modules, {} firmware files",
                m.kernel_release,
                m.kernel_bytes,
                m.initramfs_bytes,
                m.unpacked_bytes,
                m.modules,
                m.firmware_files
            );
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
